# Sourced by ./run and ./test: finds a Python, makes the virtual environment, installs the pinned packages into it.
# Everything said here goes to stderr, so that the output of `./run manage …` can be piped.

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Prints the first Python that is new enough and can make virtual environments; else ends with one line that says why.
find_python() {
    local name version="" old="" bare="" names=(python3.14 python3.13 python3.12 python3.11 python3 python)
    [ -z "${EDITAI_PYTHON-}" ] || names=("$EDITAI_PYTHON")
    for name in "${names[@]}"; do
        # a name may be there and yet not run (version managers leave such), so what it answers counts
        version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            old=${old:-$version}
        elif ! "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            bare=${bare:-$version}
        else
            printf '%s\n' "$name"
            return
        fi
    done
    if [ -n "$bare" ]; then
        fail "Python $bare is here without its venv module: type 'sudo apt install python$bare-venv', then start again."
    fi
    fail "EditAI needs Python 3.11 or newer${old:+ (found only $old)}: type 'sudo apt install python3 python3-venv', then start again."
}

# bootstrap VENV REQUIREMENTS: after this $root/VENV holds exactly what REQUIREMENTS names. Quick when it does already.
bootstrap() {
    local venv=$root/$1 requirements=$root/$2 python
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" "$root/scripts/bootstrap.py" --check "$venv" "$requirements" 2>/dev/null; then
        return
    fi
    python=$(find_python) || exit 1
    "$python" "$root/scripts/bootstrap.py" "$venv" "$requirements" || exit 1
}
