# Writes OUT, a header with what the binary was built from; only when it has changed. Run at every build: a commit needs no new configuration.
#   cmake -DSOURCE=... -DOUT=... -DCOMPILER=... -P build_info.cmake
set(commit unknown)
find_program(git git)
if(git AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${git} -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=* OUTPUT_VARIABLE found ERROR_QUIET
                  OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
  if(result EQUAL 0)
    set(commit ${found})
  endif()
endif()
set(text "/* Written by cmake/build_info.cmake. */\n#define BITTERN_COMMIT \"${commit}\"\n#define BITTERN_COMPILER \"${COMPILER}\"\n")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
