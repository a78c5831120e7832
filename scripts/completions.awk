# completions.awk -v shell=bash|zsh|fish DUMP: the completion of that shell, from the lines of src/cmd/dump.c.
# In the dump an option is: option name alias also kind value help default default-is min max required group choices sentence

BEGIN { FS = "\t" }
$1 == "command" {
    cmd = $2
    cmds[++n_cmds] = cmd
    summary[cmd] = $3
    list = list (list == "" ? "" : " ") cmd
}
$1 == "usage" && !(cmd in form) { form[cmd] = $2 }
$1 == "operands" {
    max_args[cmd] = $3
    words[cmd] = $4
    first[cmd] = $5
}
$1 == "heading" { section[cmd, ++n_sections[cmd]] = $2 }
$1 == "option" {
    o[cmd, ++n_opts[cmd]] = $0
    at[cmd, n_opts[cmd]] = n_sections[cmd]
}

# The names of an option as they are typed.
function names(f) {
    return (f[3] == "" ? "" : f[3] " ") "--" f[2] (f[4] == "" ? "" : " --" f[4])
}

function quote(s) {
    gsub(/'/, "'\\''", s)
    return s
}

# Words of s, set behind `first`, over several lines that begin with `lead` and end, but for the last, with `more`.
function wrap(first, s, lead, more,    n, w, i, line) {
    n = split(s, w, " ")
    line = first w[1]
    for (i = 2; i <= n; i++) {
        if (length(line) + length(w[i]) + 1 + length(more) > 110) {
            print line more
            line = lead w[i]
        } else {
            line = line " " w[i]
        }
    }
    return line
}

# Endings of the files that a value or an operand of this name is, separated by blanks; "/": folders; "": any.
function endings(word) {
    sub(/\.\.\.$/, "", word)
    if (word ~ /^(MODEL|MODEL\.gguf|PARENT|PRUNED|BASE|against|model)$/)
        return "gguf"
    if (word == "imatrix" || word == "IMATRIX")
        return "gguf dat"
    if (word ~ /^(STATS|STATS\[:W\]|.*\.json|stats|plan|config|eval|sweep|compare|gain|from|protect|write-plan|state)$/)
        return "json"
    if (word == "chat-template-file")
        return "jinja"
    return word ~ /DIR$/ ? "/" : ""
}
function option_endings(f) {
    return f[5] == "dir" ? "/" : endings(f[2])
}

# The operands of a command by its first form: n, and which[1..n].
function operands(cmd, which,    n, w, i) {
    n = split(form[cmd], w, " ")
    for (i = 1; i <= n && w[i] !~ /^[[(-]/; i++)
        which[i] = w[i]
    return i - 1
}

# ---- bash ----

# What a word is: "@" and endings, or words.
function bash_value(f) {
    if (f[14] != "")
        return f[14]
    return f[5] == "path" || f[5] == "paths" || f[5] == "dir" ? "@" option_endings(f) : "-"
}

function bash_command(cmd,    i, f, all, n, key, value, valued, case_of, order, lead, which, m) {
    n = 0
    for (i = 1; i <= n_opts[cmd]; i++) {
        split(o[cmd, i], f, "\t")
        all = all (all == "" ? "" : " ") "--" f[2] (f[4] == "" ? "" : " --" f[4])
        value = bash_value(f)
        if (f[5] == "flag")
            continue
        key = names(f)
        gsub(/ /, " | ", key)
        valued = valued (valued == "" ? "" : " ") names(f)
        if (!(value in case_of))
            order[++n] = value
        case_of[value] = case_of[value] (case_of[value] == "" ? "" : " | ") key
    }
    print "    " cmd ")"
    print wrap("        own='", all "'", "            ", "")
    print wrap("        valued='", valued "'", "            ", "")
    if (n) {
        print "        case $prev in"
        for (i = 1; i <= n; i++) {
            print wrap("        ", case_of[order[i]] ")", "            ", " \\")
            print wrap("            what='", order[i] "' ;;", "                ", "")
        }
        print "        esac"
    }
    m = operands(cmd, which)
    for (i = 1; i <= m; i++)
        print wrap("        operands+=('", (i == m && words[cmd] != "" ? words[cmd] : "@" endings(which[i]) (i == 1 && first[cmd] != "" ? " " first[cmd] : "")) "')", "            ", "")
    if (max_args[cmd] > m && m)
        print "        more=1"
    print "        ;;"
    for (i in case_of)
        delete case_of[i]
}

function bash(    i) {
    print "# reap.bash - completion of reap's commands, options, their values and files. Source it, or install it as"
    print "# .../bash-completion/completions/reap. Made by scripts/docs.sh (make docs)."
    print "\n# Files with these endings, and folders; where there are none of either, all files (a model need not end in .gguf)."
    print "_reap_files() { # ENDINGS"
    print "    local e found"
    print "    found=$(for e in $1; do [[ $e == / ]] || compgen -f -X \"!*.$e\" -- \"$cur\"; done; compgen -d -- \"$cur\")"
    print "    if [[ -n $found ]]; then\n        sort -u <<<\"$found\"\n    elif [[ $1 != / ]]; then\n        compgen -f -- \"$cur\"\n    fi\n}"
    print "\n# \"@ENDINGS WORDS\": files and words (\"@\": any files); \"-\": nothing that is known; else words."
    print "_reap_what() { # WHAT"
    print "    case $1 in"
    print "    -) ;;"
    print "    @) compgen -f -- \"$cur\" ;;"
    print "    @*)\n        _reap_files \"$(for w in ${1#@}; do case $w in gguf | dat | json | jinja | /) echo \"$w\" ;; esac; done)\""
    print "        compgen -W \"$(for w in ${1#@}; do case $w in gguf | dat | json | jinja | /) ;; *) echo \"$w\" ;; esac; done)\" -- \"$cur\" ;;"
    print "    *) compgen -W \"$1\" -- \"$cur\" ;;"
    print "    esac\n}"
    print "\n_reap() {"
    print "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=${COMP_WORDS[1]-}"
    print "    local own='' valued='' what='' operands=() more='' i n=0 w"
    print wrap("    local commands='", list "'", "        ", "")
    print "\n    if [[ $COMP_CWORD -eq 1 ]]; then"
    print "        mapfile -t COMPREPLY < <(compgen -W \"$commands help version --help --version\" -- \"$cur\")"
    print "        return\n    fi"
    print "    # --name=value is split at the equals sign by readline"
    print "    if [[ $cur == = ]]; then\n        cur="
    print "    elif [[ $prev == = && $COMP_CWORD -ge 3 ]]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi"
    print "    case $cmd in"
    for (i = 1; i <= n_cmds; i++)
        bash_command(cmds[i])
    print "    help) what=$commands ;;\n    *) return ;;\n    esac"
    print "    if [[ -n $what ]]; then\n        mapfile -t COMPREPLY < <(_reap_what \"$what\")\n        return"
    print "    elif [[ $cur == -* ]]; then\n        mapfile -t COMPREPLY < <(compgen -W \"$own\" -- \"$cur\")\n        return\n    fi"
    print "    # which operand it is"
    print "    for ((i = 2; i < COMP_CWORD; i++)); do"
    print "        w=${COMP_WORDS[i]}"
    print "        if [[ $w == -* ]]; then"
    print "            [[ ${COMP_WORDS[i + 1]} != = ]] || ((i++))"
    print "            [[ \" ${valued//$'\\n'/ } \" != *\" $w \"* ]] || ((i++))"
    print "        else\n            ((n++))\n        fi\n    done"
    print "    if ((n >= ${#operands[@]} && ${#operands[@]})) && [[ -n $more ]]; then\n        n=$((${#operands[@]} - 1))\n    fi"
    print "    mapfile -t COMPREPLY < <(_reap_what \"${operands[n]--}\")\n}"
    print "\ncomplete -o filenames -o bashdefault -F _reap reap"
}

# ---- zsh ----

function zsh_text(s) {
    gsub(/\[/, "\\[", s)
    gsub(/\]/, "\\]", s)
    gsub(/:/, "\\:", s)
    return quote(s)
}

function zsh_value(f,    s) {
    if (f[5] == "flag")
        return ""
    s = f[6]
    sub(/\[.*/, "", s)
    s = ":" s ":"
    if (f[5] == "words")
        return s "_values -s , " f[6] " " f[14]
    if (f[14] != "")
        return s "(" f[14] ")"
    return s (f[5] == "path" || f[5] == "paths" || f[5] == "dir" ? zsh_files(option_endings(f)) : " ")
}

# Files with these endings, and folders.
function zsh_files(list) {
    if (list == "/" || list == "")
        return "_files" (list == "" ? "" : " -/")
    gsub(/ /, "|", list)
    return "_files -g \"*.(" list ")\""
}

function zsh_option(line,    f, n, all, key, rest) {
    n = split(line, f, "\t")
    all = names(f)
    rest = "[" zsh_text(f[n]) "]" zsh_value(f) "'"
    if (all !~ / /)
        return "'" (f[5] == "paths" ? "*" : "") all rest
    key = all
    gsub(/ /, ",", key)
    return "'" (f[5] == "paths" ? "*" : "(" all ")") "'{" key "}'" rest
}

# The lines of one section of a command.
function zsh_section(cmd, k,    i, s) {
    s = ""
    for (i = 1; i <= n_opts[cmd]; i++)
        if (at[cmd, i] == k)
            s = s "\t" zsh_option(o[cmd, i])
    return s
}

function zsh_lines(s, lead,    n, l, i) {
    n = split(s, l, "\t")
    for (i = 2; i <= n; i++)
        print lead l[i]
}

function zsh_operands(cmd,    n, i, out, action, which, w) {
    n = operands(cmd, which)
    for (i = 1; i <= n; i++) {
        w = which[i]
        sub(/\.\.\.$/, "", w)
        action = i == n && words[cmd] != "" ? "(" words[cmd] ")" : zsh_files(endings(which[i]))
        if (i == 1 && first[cmd] != "")
            action = "{compadd -- " first[cmd] "; " action "}"
        out = out " '" (max_args[cmd] > 2 ? "*" : i) ":" w ":" action "'"
    }
    return out
}

function zsh(    i, k, s, c, used, shared, n_shared, own) {
    for (i = 1; i <= n_cmds; i++)
        for (k = 1; k <= n_sections[cmds[i]]; k++)
            used[zsh_section(cmds[i], k)]++
    print "#compdef reap"
    print "# _reap - zsh completion of reap's commands, options, their values and files. Put it into a folder of $fpath."
    print "# Made by scripts/docs.sh (make docs)."
    print "\n_reap() {\n  local context state state_descr line cmd\n  typeset -A opt_args"
    print "  local -a commands own\n  commands=("
    for (i = 1; i <= n_cmds; i++) {
        s = summary[cmds[i]]
        gsub(/:/, "\\:", s)
        print "    '" cmds[i] ":" quote(s) "'"
    }
    print "    'help:the options of a command'\n  )"
    for (i = 1; i <= n_cmds; i++)
        for (k = 1; k <= n_sections[cmds[i]]; k++) {
            s = zsh_section(cmds[i], k)
            if (used[s] < 2 || (s in shared))
                continue
            shared[s] = tolower(section[cmds[i], k])
            sub(/[^a-z].*/, "", shared[s])
            shared[s] = shared[s] (taken[shared[s]]++ ? taken[shared[s]] : "")
            print "  local -a " shared[s] "=("
            zsh_lines(s, "    ")
            print "  )"
        }
    print "\n  if (( CURRENT == 2 )); then\n    _describe -t commands 'reap command' commands"
    print "    _arguments '--help[what reap does]' '--version[version of reap and of its engine]'\n    return\n  fi"
    print "  cmd=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $cmd in"
    for (i = 1; i <= n_cmds; i++) {
        c = cmds[i]
        own = ""
        print "    " c ")\n      own=("
        for (k = 1; k <= n_sections[c]; k++) {
            s = zsh_section(c, k)
            if (s in shared)
                own = own " $" shared[s]
            else
                zsh_lines(s, "        ")
        }
        print "      )\n      _arguments -S $own" own zsh_operands(c) "\n      ;;"
    }
    print "    help)\n      _describe -t commands 'reap command' commands\n      ;;\n  esac\n}\n\n_reap \"$@\""
}

# ---- fish ----

function fish_text(s,    out, c, i) {
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        out = out (c == "'" || c == "\\" ? "\\" : "") c
    }
    return "'" out "'"
}

# Files with these endings first, and folders.
function fish_files(list,    n, e, i, s) {
    if (list == "")
        return " -r -F"
    if (list == "/")
        return " -x -a '(__fish_complete_directories)'"
    n = split(list, e, " ")
    for (i = 1; i <= n; i++)
        s = s (i > 1 ? " " : "") "(__fish_complete_suffix ." e[i] ")"
    return " -k -x -a '" s "'"
}

function fish_option(line,    f, n, s) {
    n = split(line, f, "\t")
    s = " -l " f[2] (f[4] == "" ? "" : " -l " f[4])
    if (f[3] != "")
        s = s (length(f[3]) == 2 ? " -s " : " -o ") substr(f[3], 2)
    if (f[14] != "")
        s = s " -x -a '" f[14] "'"
    else if (f[5] == "path" || f[5] == "paths" || f[5] == "dir")
        s = s fish_files(option_endings(f))
    else if (f[5] != "flag")
        s = s " -x"
    return s " -d " fish_text(f[n])
}

function fish(    i, k, s, n, order, of, which) {
    print "# reap.fish - fish completion of reap's commands, options, their values and files. Made by scripts/docs.sh (make docs)."
    print "\n# True when the command on the line is one of the arguments."
    print "function __reap_is\n    set -l words (commandline -opc)"
    print "    test (count $words) -ge 2; and contains -- $words[2] $argv\nend"
    print "\n# True while the command itself is being typed."
    print "function __reap_no_command\n    test (count (commandline -opc)) -eq 1\nend\n"
    print "complete -c reap -n __reap_no_command -f"
    print "complete -c reap -n __reap_no_command -l help -s h -d 'what reap does'"
    print "complete -c reap -n __reap_no_command -l version -d 'version of reap and of its engine'"
    for (i = 1; i <= n_cmds; i++)
        print "complete -c reap -n __reap_no_command -a " cmds[i] " -d " fish_text(summary[cmds[i]])
    print "complete -c reap -n __reap_no_command -a help -d 'the options of a command'"
    print "complete -c reap -n '__reap_is help' -f -a '" list "'\n"
    for (i = 1; i <= n_cmds; i++) {
        if (words[cmds[i]] != "" || first[cmds[i]] != "")
            print "complete -c reap -n '__reap_is " cmds[i] "' -a '" words[cmds[i]] first[cmds[i]] "'"
        if (operands(cmds[i], which) && endings(which[1]) != "")
            print "complete -c reap -n '__reap_is " cmds[i] "'" fish_files(endings(which[1]))
        for (k = 1; k <= n_opts[cmds[i]]; k++) {
            s = fish_option(o[cmds[i], k])
            if (!(s in of))
                order[++n] = s
            of[s] = of[s] (of[s] == "" ? "" : " ") cmds[i]
        }
    }
    for (i = 1; i <= n; i++)
        print "complete -c reap -n '__reap_is " of[order[i]] "'" order[i]
}

END {
    if (!n_cmds) {
        print "completions.awk: the dump lists no commands" >"/dev/stderr"
        exit 1
    }
    if (shell == "bash")
        bash()
    else if (shell == "zsh")
        zsh()
    else
        fish()
}
