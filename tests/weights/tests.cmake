# Weight files of other people: hostile ones, each with its message, and those that PyTorch and NumPy write, value by value.
set(weights_dir ${CMAKE_SOURCE_DIR}/tests/weights)
add_executable(check_files ${weights_dir}/check_files.c ${cuda_objects})
target_link_libraries(check_files PRIVATE bittern_objects)
add_test(NAME weights_hostile COMMAND bash ${weights_dir}/hostile.sh $<TARGET_FILE:check_files>)
add_test(NAME weights_reference COMMAND bash ${weights_dir}/reference.sh $<TARGET_FILE:check_files>)
set_tests_properties(weights_hostile weights_reference PROPERTIES LABELS "unit;weights" SKIP_RETURN_CODE 77 TIMEOUT 300)
