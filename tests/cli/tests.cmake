# The command as a user has it: wrong input, interruption, resume.
if(BITTERN_WITH_YAML)
  foreach(subject bad_input resume)
    add_test(NAME cli_${subject} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/cli/${subject}.sh $<TARGET_FILE:bittern-cli>)
    set_tests_properties(cli_${subject} PROPERTIES LABELS "cli;resume" TIMEOUT 900)
  endforeach()
  set_tests_properties(cli_bad_input PROPERTIES LABELS cli)
endif()
