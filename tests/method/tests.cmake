# The method that docs/adding-a-method.md builds: its C is cut out of the page, compiled like the rest, and trained.
set(page ${CMAKE_SOURCE_DIR}/docs/adding-a-method.md)
set(example ${CMAKE_BINARY_DIR}/generated/method_example.c)
add_custom_command(OUTPUT ${example} COMMAND awk "/^```c$/ { on = 1; next } /^```$/ { on = 0 } on" ${page} > ${example} DEPENDS ${page} VERBATIM)
add_executable(test_method_example ${CMAKE_SOURCE_DIR}/tests/method/test_method_example.c ${example} ${cuda_objects})
target_link_libraries(test_method_example PRIVATE bittern_objects)
add_test(NAME method_example COMMAND test_method_example)
set_tests_properties(method_example PROPERTIES LABELS unit)
