# Resampled position embeddings and their gradient against PyTorch, through a program with a parameter. Skipped, visibly, without PyTorch.
add_executable(test_resample ${CMAKE_SOURCE_DIR}/tests/positions/resample.c ${cuda_objects})
target_link_libraries(test_resample PRIVATE bittern_objects)
add_test(NAME positions_torch COMMAND ${CMAKE_SOURCE_DIR}/tests/positions/compare.sh $<TARGET_FILE:test_resample>)
set_tests_properties(positions_torch PROPERTIES LABELS "ops;python" SKIP_RETURN_CODE 77 TIMEOUT 600)
