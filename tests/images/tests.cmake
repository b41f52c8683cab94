# Picture files of every kind against PIL, bit for bit. Files and pixels are made in the build folder by Debian's python3-pil; without it the
# tests are skipped, visibly.
set(images_dir ${CMAKE_SOURCE_DIR}/tests/images)
set(images_cases ${CMAKE_BINARY_DIR}/images)
add_test(NAME images_cases COMMAND ${images_dir}/make_cases.sh ${images_cases})
set_tests_properties(images_cases PROPERTIES LABELS images FIXTURES_SETUP images SKIP_RETURN_CODE 77 TIMEOUT 600)
add_executable(test_images_decode ${images_dir}/decode.c ${cuda_objects})
target_link_libraries(test_images_decode PRIVATE bittern_objects)
add_test(NAME images_decode COMMAND test_images_decode ${images_cases})
set_tests_properties(images_decode PROPERTIES LABELS images FIXTURES_REQUIRED images SKIP_RETURN_CODE 77 TIMEOUT 600)
