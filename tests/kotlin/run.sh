#!/bin/sh
# Compiles the Kotlin bindings and the program, and runs it on the JVM. Environment: GENDAN_URL,
# GENDAN_CODE_OFFICE, GENDAN_CODE_SALES, GENDAN_CODE_CREW; GENDAN_LIB_DIR is the folder of
# libclient_ffi.so (target/debug where not given). Compiled jars are kept under target/kotlin.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lib=${GENDAN_LIB_DIR:-$root/target/debug}
missing() { echo "missing: $1" >&2; exit 1; }
command -v java >/dev/null || missing "java 17 (apt-get install openjdk-17-jre-headless)"
[ -f /usr/share/java/jna.jar ] || missing "/usr/share/java/jna.jar (apt-get install libjna-java libjna-jni)"
[ -f "$lib/libclient_ffi.so" ] || missing "$lib/libclient_ffi.so (cargo build -p client-ffi)"
if [ ! -f "$here/node_modules/kotlin-compiler/lib/kotlin-compiler.jar" ]; then
    command -v npm >/dev/null || missing "npm, which fetches the Kotlin compiler (apt-get install npm)"
    (cd "$here" && npm ci --no-audit --no-fund >&2) || missing "kotlin-compiler 2.4.20 (npm ci in tests/kotlin failed)"
fi
kc=$here/node_modules/kotlin-compiler/lib
cp=$kc/kotlin-stdlib.jar:$kc/kotlinx-coroutines-core-jvm.jar:/usr/share/java/jna.jar
out=$root/target/kotlin
bindings=$root/client-ffi/bindings/kotlin/uniffi/gendan/gendan.kt
mkdir -p "$out"

# compile JAR CLASSPATH FILES…: unless the jar was made from exactly these files.
compile() {
    jar=$1; path=$2; shift 2
    sum=$(cat "$bindings" "$@" | sha256sum | cut -d' ' -f1)
    [ -f "$jar" ] && [ "$(cat "$jar.sum" 2>/dev/null)" = "$sum" ] && return 0
    java -Xmx1g -cp "$kc/kotlin-preloader.jar" org.jetbrains.kotlin.preloading.Preloader -cp "$kc/kotlin-compiler.jar" \
        org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -jvm-target 17 -Werror -cp "$path" -d "$jar" "$@" >&2
    echo "$sum" >"$jar.sum"
}
compile "$out/bindings.jar" "$cp" "$bindings"
compile "$out/program.jar" "$out/bindings.jar:$cp" "$here/Main.kt" "$here/Sockets.kt"
exec java -cp "$out/program.jar:$out/bindings.jar:$cp" -Djna.library.path="$lib" MainKt \
    "$GENDAN_URL" "$GENDAN_CODE_OFFICE" "$GENDAN_CODE_SALES" "$GENDAN_CODE_CREW"
