# make: what it builds, what it says last; scripts/build.sh: progress without a terminal, the exit status.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS V

make -n -C "$SRC" >all.txt 2>&1
has all.txt 'scripts/build.sh build .*--target reap$'
expect 'the last line says what is ready' grep -q "build/reap is ready" <(grep -v '^make' all.txt | tail -n 1)
for goal in demo install docs; do
    make -n -C "$SRC" $goal >goal.txt 2>&1
    has goal.txt 'build.sh build .*--target reap$'
done
for goal in test test-archs bench faults interop interop-tokenizers; do # they need tools of the tests
    make -n -C "$SRC" $goal >goal.txt 2>&1
    has goal.txt 'scripts/build.sh build '
    lacks goal.txt '--target reap'
done
make -n -C "$SRC" test-arm64 >goal.txt 2>&1
has goal.txt 'bash scripts/test-arm64.sh$'

# options reach CMake and the engine's script, which refuses what is no architecture
make -n -C "$SRC" REAP_CUDA=ON REAP_CUDA_ARCH='86;90' >cuda.txt 2>&1
has cuda.txt '-DREAP_CUDA="ON" -DREAP_CUDA_ARCH="86;90"'
REAP_CACHE=$T/cache bash "$SRC/scripts/engine.sh" -DREAP_CUDA=ON '-DREAP_CUDA_ARCH=9 0' >said 2>&1
expect 'an architecture that is none' test $? = 2
has said "REAP_CUDA_ARCH is '9 0', expected architectures as CMake names them"

make -n -C "$SRC" dist-binary deb test-engine-sid >goal.txt 2>&1
has goal.txt 'scripts/dist.sh' 'scripts/deb.sh' 'tests/dist/engine_sid.sh'

# a build that says what it is told to
mkdir bin
cat >bin/cmake <<'END'
#!/bin/sh
echo "$*" >asked
i=0
while [ $((i += 1)) -le 115 ]; do echo "[$i/115] Building C object $i.o"; done
echo 'a.c:3: warning: odd'
exit "$(cat wanted)"
END
chmod +x bin/cmake
echo 0 >wanted
PATH=$T/bin:$PATH sh "$SRC/scripts/build.sh" there -j 2 --target reap >said 2>&1
expect 'a build that succeeds' test $? = 0
has asked '^--build there -j 2 --target reap$'
expect 'a line for each tenth' test "$(grep -c '^build: [0-9]* of 115 steps$' said)" = 10
expect 'the last step is told' grep -qx 'build: 115 of 115 steps' said
has said '^a.c:3: warning: odd$'
expect 'nothing else is said' test "$(wc -l <said)" = 11
echo 3 >wanted
PATH=$T/bin:$PATH sh "$SRC/scripts/build.sh" there >said 2>&1
expect 'a build that fails' test $? = 3
finish
