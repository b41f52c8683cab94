# Exported models, bittern embed, the Python reader, the installed library. They train, and a run's configuration is YAML.
if(NOT BITTERN_WITH_YAML)
  return()
endif()
set(encoder_dir ${CMAKE_SOURCE_DIR}/tests/encoder)
add_test(NAME encoder_embed COMMAND bash ${encoder_dir}/embed.sh $<TARGET_FILE:bittern-cli>)
set_tests_properties(encoder_embed PROPERTIES LABELS cli TIMEOUT 1800)
if(NOT BITTERN_SANITIZE) # Python, and programs without the sanitizers' runtime, load the library
  add_test(NAME encoder_reference COMMAND bash ${encoder_dir}/reference.sh $<TARGET_FILE:bittern-cli> $<TARGET_FILE:bittern>)
  set_tests_properties(encoder_reference PROPERTIES LABELS "cli;python" SKIP_RETURN_CODE 77 TIMEOUT 600)
  add_test(NAME encoder_install COMMAND bash ${encoder_dir}/install.sh $<TARGET_FILE:bittern-cli> ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER} ${CMAKE_COMMAND})
  set_tests_properties(encoder_install PROPERTIES LABELS install SKIP_RETURN_CODE 77 TIMEOUT 600)
endif()
