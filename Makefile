# Thin: CMakeLists.txt and CMakePresets.json hold the build, scripts/ what comes before it.
#
#   make                 build/reap alone (the first time with the engine, a few minutes)
#   make demo            the same, then show what it does
#   make test            build the tests as well, then all of them
#   make check-asan      the same tests under the address and undefined-behaviour sanitizers
#   make test-arm64      all tests for 64-bit ARM, emulated (Debian; root the first time)
#   make test-archs      every architecture of the engine
#   make interop         pruned checkpoints in Hugging Face transformers (root; the first time 2.5 GB)
#   make interop-tokenizers  real tokenizers against the Rust library (node, npm; the first time 570 MB)
#   make bench           measurements
#   make fuzz            each parser under libFuzzer for FUZZ_SECONDS, or all of them in FUZZ_TOTAL_SECONDS
#   make faults          each call of libc fails, or is the last thing that happens
#   make install         to PREFIX (DESTDIR is honoured)
#   make dist-binary     dist/reap-VERSION-linux-PROCESSOR.tar.gz, for other machines; make deb: a Debian package
#   make test-dist       both in bare Debian systems, and the Containerfile (root; 400 MB, network)
#   make test-engine-sid all tests with the libllama of Debian sid (root; the first time 1.3 GB, network)
#   make docs            tables, manual and completions filled from the program's own records
#   make format, make clean
#
# REAP_CUDA=ON (also HIP, VULKAN, METAL), REAP_CUDA_ARCH=90, REAP_NATIVE=OFF, REAP_LLAMA_DIR=PREFIX and the other options of
# CMakeLists.txt may be given here. V=1 shows the commands.

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Some tests wait for a server or the disk.
TEST_JOBS ?= $(shell expr $(JOBS) + 1)
V ?= 0
export V

options := NATIVE AMX PORTABLE STATIC CUDA CUDA_ARCH HIP VULKAN METAL LLAMA_DIR
args := $(foreach o,$(options),$(if $(REAP_$(o)),-DREAP_$(o)="$(REAP_$(o))")) $(CMAKE_ARGS)

Q := $(if $(filter 1,$(V)),,@)

folder = build$(if $(filter-out release,$(1)),-$(1))

# build PRESET[,OPTIONS OF setup.sh[,TARGET]]: configure when that was not done yet, or with other options; ninja does so itself later
# on. Without a target also the tests and their tools.
define build
$(Q)sh scripts/setup.sh $(2)
$(Q)if [ ! -f $(call folder,$(1))/build.ninja ] || \
	[ "$$(cat $(call folder,$(1))/make-args 2>/dev/null)" != '$(strip $(args))' ]; then \
	mkdir -p $(call folder,$(1)) && rm -f $(call folder,$(1))/make-args && \
	cmake --preset $(1) $(args) >$(call folder,$(1))/configure.log && \
	echo '$(strip $(args))' >$(call folder,$(1))/make-args; fi
$(Q)sh scripts/build.sh $(call folder,$(1)) -j $(JOBS) $(if $(3),--target $(3))
endef

.NOTPARALLEL:
.PHONY: all reap tests demo test check-asan test-arm64 test-archs interop interop-tokenizers bench fuzz faults install dist-binary deb test-dist test-engine-sid docs format clean

all: reap
	@echo 'build/reap is ready'

reap:
	$(call build,release,,reap)

tests:
	$(call build,release)

demo: reap
	$(Q)bash scripts/demo.sh

test: tests
	$(Q)sh scripts/ctest-summary.sh build -j $(TEST_JOBS)

check-asan:
	$(call build,asan,--asan)
	$(Q)sh scripts/ctest-summary.sh build-asan -j $(TEST_JOBS)

test-arm64:
	$(Q)JOBS=$(JOBS) TEST_JOBS=$(TEST_JOBS) CMAKE_ARGS="$(CMAKE_ARGS)" bash scripts/test-arm64.sh

test-archs: tests
	$(Q)REAP="$$PWD/build/reap" SRC="$$PWD" BIN="$$PWD/build" bash tests/archs.sh

interop: tests
	$(Q)REAP="$$PWD/build/reap" SRC="$$PWD" sh scripts/interop.sh

interop-tokenizers: tests
	$(Q)BIN="$$PWD/build" SRC="$$PWD" sh scripts/interop-tokenizers.sh

bench: tests
	$(Q)REAP="$$PWD/build/reap" SRC="$$PWD" BIN="$$PWD/build" bash bench/run.sh

fuzz:
	$(call build,fuzz,--fuzz)
	$(Q)sh scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ_TOTAL_SECONDS)

faults: tests
	$(Q)sh scripts/faults.sh build $(JOBS)

install: reap
	$(Q)DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)"

dist-binary:
	$(Q)sh scripts/setup.sh
	$(Q)JOBS=$(JOBS) bash scripts/dist.sh

deb:
	$(Q)sh scripts/setup.sh
	$(Q)JOBS=$(JOBS) bash scripts/deb.sh

test-dist: dist-binary deb
	$(Q)bash tests/dist/all.sh

test-engine-sid:
	$(Q)JOBS=$(JOBS) bash tests/dist/engine_sid.sh

docs: reap
	$(Q)sh scripts/docs.sh build/reap

format:
	$(Q)find src tests examples -name '*.[ch]' -exec clang-format -i {} +

clean:
	$(Q)rm -rf build build-dev build-asan build-fuzz build-arm64 build-arm64-sid build-sid build-dist-* dist
