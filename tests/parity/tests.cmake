# Parity with PyTorch: fixtures are made by Debian's python3-torch in the build folder, then read by test_parity. Without PyTorch the
# tests are skipped, visibly.
add_executable(test_parity ${CMAKE_SOURCE_DIR}/tests/parity/test_parity.c ${CMAKE_SOURCE_DIR}/tests/parity/fixture.c ${cuda_objects})
target_link_libraries(test_parity PRIVATE bittern_objects)
set(fixtures ${CMAKE_BINARY_DIR}/parity)
add_test(NAME parity_fixtures COMMAND ${CMAKE_SOURCE_DIR}/tests/parity/make_fixtures.sh ${fixtures})
set_tests_properties(parity_fixtures PROPERTIES LABELS parity FIXTURES_SETUP parity SKIP_RETURN_CODE 77 TIMEOUT 600)
foreach(dtype f32 bf16)
  add_test(NAME parity_${dtype} COMMAND test_parity ${fixtures} ${dtype})
  set_tests_properties(parity_${dtype} PROPERTIES LABELS parity FIXTURES_REQUIRED parity SKIP_RETURN_CODE 77 TIMEOUT 900 PROCESSORS 2)
endforeach()
