# The evaluation library and the training-free codes against NumPy in float64 (and .npy files against NumPy's own). Without NumPy the tests
# are skipped, visibly.
add_executable(test_retrieval_reference ${CMAKE_SOURCE_DIR}/tests/retrieval/test_reference.c ${cuda_objects})
target_link_libraries(test_retrieval_reference PRIVATE bittern_objects)
add_test(NAME retrieval_fixtures COMMAND ${CMAKE_SOURCE_DIR}/tests/retrieval/reference.sh ${CMAKE_BINARY_DIR}/retrieval)
set_tests_properties(retrieval_fixtures PROPERTIES LABELS unit FIXTURES_SETUP retrieval SKIP_RETURN_CODE 77)
add_test(NAME retrieval_reference COMMAND test_retrieval_reference ${CMAKE_BINARY_DIR}/retrieval)
set_tests_properties(retrieval_reference PROPERTIES LABELS unit FIXTURES_REQUIRED retrieval SKIP_RETURN_CODE 77)
