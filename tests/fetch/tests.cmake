# `bittern fetch` against a server on loopback; digests, headers and states as units.
add_test(NAME fetch COMMAND bash ${CMAKE_SOURCE_DIR}/tests/fetch/fetch.sh $<TARGET_FILE:bittern-cli> ${CMAKE_SOURCE_DIR})
set_tests_properties(fetch PROPERTIES LABELS cli TIMEOUT 900 SKIP_RETURN_CODE 77)
if(TARGET PkgConfig::CMOCKA)
  add_executable(test_fetch ${CMAKE_SOURCE_DIR}/tests/fetch/test_fetch.c ${cuda_objects})
  target_link_libraries(test_fetch PRIVATE bittern_objects bittern_fetch PkgConfig::CMOCKA)
  add_test(NAME test_fetch COMMAND test_fetch)
  set_tests_properties(test_fetch PROPERTIES LABELS unit)
endif()
