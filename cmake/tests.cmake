# Every file in tests/ is found by its name and place; nothing is listed here.
#   tests/unit/test_X.c   cmocka program, test "unit-X"; other .c files there are linked into all of them
#   tests/fake/test_X.c   the same, test "fake-X", with tests/fake/engine_fake.c in the place of libllama
#   tests/library/test_X.c  a cmocka program that has reap.h and libreap.so alone, test "unit-X"
#   tests/fuzz/fuzz_X.c   with driver.c it runs the stored inputs tests/data/fuzz/X (and slow/X), test "fuzz-X";
#                         with REAP_FUZZ it becomes a libFuzzer program instead, with the X_mutator.c
#                         whose header it includes
#   tests/cli/X.sh        run with bash, test "cli-X"; exit status 77 is "skipped"

set(tests "${CMAKE_SOURCE_DIR}/tests")
set(REAP_TEST_TIMEOUT 1200 CACHE STRING "seconds that a test may take")
# Where the engine's sources are, which hold chat templates of models (unit-chat leaves them out otherwise).
if(TARGET reap_jinja AND jinja)
    execute_process(COMMAND bash "${CMAKE_SOURCE_DIR}/scripts/engine.sh" --source
        OUTPUT_VARIABLE engine_source OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(test_env
    "REAP=$<TARGET_FILE:reap>" "SRC=${CMAKE_SOURCE_DIR}" "BIN=${CMAKE_BINARY_DIR}"
    "ENGINE_SOURCE=${engine_source}"
    "GOMP_SPINCOUNT=300" # tests share the cores; src/engine/engine.h, engine_begin
    # Hostile sizes must come back as a failed allocation, as they do without the sanitizer.
    "ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1"
    "UBSAN_OPTIONS=print_stacktrace=1")

function(reap_test_target_without_engine target)
    target_link_libraries(${target} PRIVATE ${ARGN})
    target_include_directories(${target} PRIVATE "${tests}/unit")
    target_compile_definitions(${target} PRIVATE
        TEST_DATA_DIR="${tests}/data" REAP_BIN="$<TARGET_FILE:reap>")
endfunction()

function(reap_test_target target)
    reap_test_target_without_engine(${target} ${ARGN} reapprogram reapcore reapengine)
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX) # the engine is C++ inside
endfunction()

function(reap_add_test name)
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
    set_tests_properties(${name} PROPERTIES
        TIMEOUT ${REAP_TEST_TIMEOUT} SKIP_RETURN_CODE 77 ENVIRONMENT "${test_env}")
endfunction()

file(GLOB fuzz_sources CONFIGURE_DEPENDS "${tests}/fuzz/fuzz_*.c")

if(REAP_FUZZ)
    foreach(source ${fuzz_sources})
        get_filename_component(name "${source}" NAME_WE)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
        file(STRINGS "${source}" mutators REGEX "^#include \"[a-z_]*_mutator\\.h\"$")
        list(TRANSFORM mutators REPLACE "^#include \"([a-z_]*)\\.h\"$" "${tests}/fuzz/\\1.c")
        add_executable(${name} "${source}" ${mutators})
        reap_test_target(${name})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    endforeach()
    return()
endif()

foreach(source ${fuzz_sources})
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" subject "${name}")
    add_executable(${name} "${source}" "${tests}/fuzz/driver.c")
    reap_test_target(${name})
    file(GLOB slow "${tests}/data/fuzz/slow/${subject}")
    reap_add_test(fuzz-${subject} ${name} "${tests}/data/fuzz/${subject}" ${slow})
endforeach()

pkg_check_modules(cmocka QUIET IMPORTED_TARGET cmocka)
if(cmocka_FOUND)
    file(GLOB unit_sources CONFIGURE_DEPENDS "${tests}/unit/test_*.c")
    file(GLOB unit_support CONFIGURE_DEPENDS "${tests}/unit/*.c")
    if(unit_sources)
        list(REMOVE_ITEM unit_support ${unit_sources})
    endif()
    if(unit_support)
        add_library(testsupport STATIC ${unit_support})
        reap_test_target_without_engine(testsupport PkgConfig::cmocka reapcore)
    endif()
    foreach(source ${unit_sources})
        get_filename_component(name "${source}" NAME_WE)
        string(REGEX REPLACE "^test_" "" subject "${name}")
        add_executable(${name} "${source}")
        reap_test_target(${name} $<TARGET_NAME_IF_EXISTS:testsupport> PkgConfig::cmocka)
        reap_add_test(unit-${subject} ${name})
    endforeach()

    file(GLOB fake_sources CONFIGURE_DEPENDS "${tests}/fake/test_*.c")
    file(GLOB fake_support CONFIGURE_DEPENDS "${tests}/fake/*.c")
    list(REMOVE_ITEM fake_support ${fake_sources})
    add_library(fakeengine STATIC ${fake_support})
    reap_test_target_without_engine(fakeengine PkgConfig::cmocka reapcore)
    foreach(source ${fake_sources})
        get_filename_component(name "${source}" NAME_WE)
        string(REGEX REPLACE "^test_" "" subject "${name}")
        add_executable(fake_${subject} "${source}")
        reap_test_target_without_engine(fake_${subject}
            reapprogram fakeengine $<TARGET_NAME_IF_EXISTS:testsupport> PkgConfig::cmocka reapcore fakeengine)
        target_include_directories(fake_${subject} PRIVATE "${tests}/fake")
        reap_add_test(fake-${subject} fake_${subject})
    endforeach()

    set(library_sources "")
    if(TARGET reaplib AND NOT REAP_STATIC)
        file(GLOB library_sources CONFIGURE_DEPENDS "${tests}/library/test_*.c")
    endif()
    foreach(source ${library_sources})
        get_filename_component(name "${source}" NAME_WE)
        string(REGEX REPLACE "^test_" "" subject "${name}")
        add_executable(${name} "${source}" "${tests}/unit/tempdir.c")
        # functions of theirs stand in the place of the libraries' own, also where the linker did not look into those
        set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)
        target_link_libraries(${name} PRIVATE reap_flags reaplib Threads::Threads ${CMAKE_DL_LIBS} PkgConfig::cmocka)
        target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src/lib" "${tests}/unit")
        target_compile_definitions(${name} PRIVATE TEST_DATA_DIR="${tests}/data" REAP_VERSION="${PROJECT_VERSION}")
        reap_add_test(unit-${subject} ${name})
    endforeach()
else()
    message(NOTICE "cmocka not found: no unit tests (scripts/setup.sh installs it)")
endif()

file(GLOB cli_scripts CONFIGURE_DEPENDS "${tests}/cli/*.sh")
foreach(script ${cli_scripts})
    get_filename_component(subject "${script}" NAME_WE)
    reap_add_test(cli-${subject} bash "${script}")
endforeach()

# The long ones begin first, so that the cores end together; about the seconds that each takes.
set(costs cli-demo 13 cli-serve 10 unit-families_folders 8 cli-checkpoints_forms 7 unit-families_engine 7 cli-eval_against 6
    cli-sweep 6 cli-batch 6 cli-run 5 cli-refine 5 cli-properties 5 cli-checkpoints_bad 4 cli-until_stable 4
    unit-tinymoe 4 cli-bad_calibration 4 cli-interrupt 4 cli-batch_resume 4 cli-usage 4 cli-bad_models 4)
while(costs)
    list(POP_FRONT costs name cost)
    if(TEST ${name})
        set_tests_properties(${name} PROPERTIES COST ${cost})
    endif()
endwhile()

# The first time it builds llama-server.
if(TEST cli-serve)
    set_tests_properties(cli-serve PROPERTIES TIMEOUT 3600)
endif()

# Programs that the scripts use: tests/tools/X.c becomes X in the build folder.
file(GLOB tool_sources CONFIGURE_DEPENDS "${tests}/tools/*.c")
foreach(source ${tool_sources})
    get_filename_component(name "${source}" NAME_WE)
    add_executable(${name} "${source}")
    reap_test_target(${name})
endforeach()
target_sources(seed_checkpoint PRIVATE "${tests}/unit/seed.c")

# tests/faults: the fault injector (faults), what it drives (libshim.so, preloaded; libfold.so is for a test of the command line), and scripts. `make faults` runs all of them, the tests
# "faults-X" a small part. A sanitizer's library wants to be loaded first, so there is nothing of it in such builds.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT REAP_SANITIZE)
    foreach(name shim fold)
        add_library(${name} MODULE "${tests}/faults/${name}.c")
        target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
        target_compile_options(${name} PRIVATE -Wall -Wextra)
        set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET default)
        target_link_libraries(${name} PRIVATE ${CMAKE_DL_LIBS})
    endforeach()
    add_executable(faults "${tests}/faults/faults.c" "${tests}/faults/order.c")
    reap_test_target(faults)
    reap_add_test(faults-quick faults --quick --jobs 2)
    reap_add_test(faults-resume bash "${tests}/faults/resume.sh")
    set_tests_properties(faults-resume PROPERTIES ENVIRONMENT "${test_env};KILLS=4")
    set_tests_properties(faults-quick PROPERTIES COST 12)
else()
    foreach(subject quick resume)
        reap_add_test(faults-${subject} sh -c "echo 'skipped: calls of libc cannot be made to fail in this build' && exit 77")
    endforeach()
endif()
reap_add_test(faults-batch_kills bash "${tests}/faults/batch_kills.sh" 300 5)
