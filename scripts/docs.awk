# docs.awk DUMP PAGE: the page with its parts made anew. A part stands between two lines, in Markdown
#     <!-- begin PART --> and <!-- end -->            in a manual page     .\" begin PART and .\" end
# PART is
#     usage CMD            the forms of a command                      (Markdown)
#     name CMD, synopsis CMD, examples CMD                             (manual)
#     options CMD          its options
#     common               those that every command takes             (manual)
#     commands [FOLDER/]   all commands with their summaries; FOLDER: where their pages are
#     criteria, gates, classes     tables of the criteria, of the families by their gate, of the classes that convert
#     checkpoints                  all classes
#     families                     all families: cut as GGUF, cut as a checkpoint, run natively; native: those that run alone
#     tensors, refused             tensors of GGUF files with an expert axis, and those that cannot be cut
#     methods                      quant_method of checkpoints: decoded, or refused
# The dump is what src/cmd/dump.c says it is.

function fail(text) {
    print "docs.awk: " (page ? page ": " : "") text >"/dev/stderr"
    failed = 1
    exit 1
}

# ---- the dump ----

NR == FNR {
    n = split($0, f, "\t")
    if (f[1] == "command") {
        cmd = f[2]
        cmds[++n_cmds] = cmd
        summary[cmd] = f[3]
    } else if (f[1] == "usage") {
        usage[cmd, ++n_usage[cmd]] = f[2]
    } else if (f[1] == "example") {
        example[cmd, ++n_examples[cmd]] = f[2]
    } else if (f[1] == "heading") {
        row[cmd, ++n_rows[cmd]] = "\t" f[2]
    } else if (f[1] == "option") {
        row[cmd, ++n_rows[cmd]] = $0
    } else if (f[1] == "criterion") {
        criterion[++n_criteria] = $0
    } else if (f[1] == "family") {
        family = f[2]
        cannot = f[5] == "" ? f[6] : f[5]
        families[++n_families] = family
        people[n_families] = f[3] == "" ? "" : f[3]
        unrun[n_families] = f[7]
        whole[n_families] = family == "" ? "no such model" : f[5] == "" ? "cut" : "refused"
        cut[n_families] = cannot == "" ? "cut" : "refused: " cannot
        if (family == "" || f[4] == "")
            next
        if (!(f[4] in gate_place)) {
            gate_place[f[4]] = ++n_gates
            gate[n_gates] = f[4]
        }
        list = gate_of[gate_place[f[4]]]
        gate_of[gate_place[f[4]]] = list (list == "" ? "" : ", ") "`" family "`" (f[5] == "" ? "" : " (refused)")
    } else if (f[1] == "class") {
        runs = f[3] != "converted" ? "" : f[4]
        folders[n_families] = folders[n_families] (folders[n_families] == "" ? "" : "<br>") "`" f[2] "`"
        how[n_families] = how[n_families] (folders[n_families] ~ /<br>/ ? "<br>" : "") (runs == "" ? "no" : runs)
        native[n_families] = native[n_families] || runs != ""
        if (runs != "" && worded[n_families] != "numbers")
            worded[n_families] = runs
        checkpoint[++n_checkpoints] = "`" f[2] "` | " (family == "" ? "" : "`" family "`") " | " (cannot == "" ? f[3] : "refused: " cannot)
        if (f[3] != "converted")
            next
        if (!(family in classes))
            converted[++n_converted] = family
        classes[family] = classes[family] (family in classes && classes[family] != "" ? ", " : "") "`" f[2] "`"
    } else if (f[1] == "tensor") {
        list = f[3] == "refused" ? f[6] : f[3] "\t" f[4] "\t" f[5]
        if (!(list in tensors))
            tensor_kind[++n_tensor_kinds] = list
        tensors[list] = tensors[list] (tensors[list] == "" ? "" : ", ") "`" f[2] "`"
    } else if (f[1] == "method") {
        if (!(f[3] in methods))
            method_kind[++n_methods] = f[3]
        methods[f[3]] = methods[f[3]] (methods[f[3]] == "" ? "" : ", ") "`" f[2] "`"
    } else if (f[1] != "operands") {
        fail("a line of the dump begins with '" f[1] "'")
    }
    next
}

# ---- pieces ----

function cell(s) {
    gsub(/\|/, "\\|", s)
    return s
}

function roff(s) { # text of a manual page
    gsub(/\\/, "\\e", s)
    gsub(/--/, "\\-\\-", s)
    return s ~ /^[.']/ ? "\\&" s : s
}

function bold(s) {
    gsub(/-/, "\\-", s)
    return "\\fB" s "\\fR"
}

function capital(s) {
    return toupper(substr(s, 1, 1)) substr(s, 2)
}

# Options bold, capitals in italics.
function synopsis(s,    out, c, word) {
    out = ""
    while (s != "") {
        if (match(s, /^-[-a-z]*/) && RLENGTH > 1) {
            word = substr(s, 1, RLENGTH)
            out = out bold(word)
        } else if (match(s, /^[A-Z][-A-Z_]*(\.[a-z]+)?/)) {
            word = substr(s, 1, RLENGTH)
            out = out "\\fI" word "\\fR"
        } else {
            match(s, /^./)
            word = substr(s, 1, 1)
            out = out word
        }
        s = substr(s, length(word) + 1)
    }
    return out
}

function name_page(f,    s) {
    s = (f[3] == "" ? "" : "`" f[3] "`, ") "`--" f[2]
    s = s (f[4] == "" ? "" : "`, `--" f[4])
    return s (f[6] == "" ? "" : " " f[6]) "`"
}

function name_manual(f,    s) {
    s = (f[3] == "" ? "" : bold(f[3]) ", ") bold("--" f[2])
    s = s (f[4] == "" ? "" : ", " bold("--" f[4]))
    return s (f[6] == "" ? "" : " \\fI" f[6] "\\fR")
}

function options(cmd, only,    i, n, f, on) {
    on = only == ""
    for (i = 1; i <= n_rows[cmd]; i++) {
        n = split(row[cmd, i], f, "\t")
        if (f[1] == "" && only != "") {
            on = f[2] == only
        } else if (f[1] == "" && manual) {
            print ".SS " f[2]
        } else if (f[1] == "") {
            print (i > 1 ? "\n" : "") "**" f[2] "**\n\n| option | |\n|---|---|"
        } else if (on && manual) {
            print ".TP\n" name_manual(f) "\n" roff(f[n])
        } else if (on) {
            print "| " cell(name_page(f)) " | " cell(f[n]) " |"
        }
    }
}

function bare(s) {
    gsub(/`/, " ", s)
    return s
}

# "`b`, `a`" by the alphabet.
function sorted(list,    n, x, i, k, t) {
    n = split(list, x, ", ")
    for (i = 2; i <= n; i++)
        for (k = i; k > 1 && bare(x[k - 1]) > bare(x[k]); k--) {
            t = x[k]
            x[k] = x[k - 1]
            x[k - 1] = t
        }
    list = x[1]
    for (i = 2; i <= n; i++)
        list = list ", " x[i]
    return list
}

function make(part, arg,    i, f, n) {
    if (part ~ /^(usage|name|synopsis|examples|options)$/ && !(arg in summary))
        fail("'" arg "' is not a command")
    if (part == "options") {
        options(arg, "")
    } else if (part == "common") {
        options(cmds[1], "Common")
    } else if (part == "usage") {
        for (i = 1; i <= n_usage[arg]; i++)
            print "    reap " arg " " usage[arg, i]
    } else if (part == "name") {
        print "reap\\-" arg " \\- " roff(summary[arg])
    } else if (part == "synopsis") {
        for (i = 1; i <= n_usage[arg]; i++)
            print (i > 1 ? ".br\n" : "") ".B reap " arg "\n" synopsis(usage[arg, i])
    } else if (part == "examples") {
        print ".nf\n.RS"
        for (i = 1; i <= n_examples[arg]; i++) {
            n = example[arg, i]
            gsub(/-/, "\\-", n)
            print n
        }
        print ".RE\n.fi"
    } else if (part == "commands" && manual) {
        for (i = 1; i <= n_cmds; i++)
            print ".TP\n.BR reap\\-" cmds[i] " (1)\n" roff(capital(summary[cmds[i]])) "."
    } else if (part == "commands") {
        print "| command | |\n|---|---|"
        for (i = 1; i <= n_cmds; i++)
            print "| [`" cmds[i] "`](" arg cmds[i] ".md) | " cell(summary[cmds[i]]) " |"
    } else if (part == "criteria" && manual) {
        for (i = 1; i <= n_criteria; i++) {
            split(criterion[i], f, "\t")
            print ".TP\n.B " f[2] "\n" roff(f[6])
        }
    } else if (part == "criteria") {
        print "| criterion | formula | other names accepted | |\n|---|---|---|---|"
        for (i = 1; i <= n_criteria; i++) {
            split(criterion[i], f, "\t")
            print "| `" f[2] "` | " cell(f[5]) " | " (f[3] == "" ? "" : "`" f[3] "`" (f[4] == "" ? "" : ", `" f[4] "`") " ") "| " (f[7] == "" ? "" : cell(f[7]) " ") "|"
        }
    } else if (part == "gates") {
        print "| gate | architectures |\n|---|---|"
        for (i = 1; i <= n_gates; i++)
            print "| " cell(gate[i]) " | " sorted(gate_of[i]) " |"
    } else if (part == "checkpoints") {
        print "| class | architecture | |\n|---|---|---|"
        for (i = 1; i <= n_checkpoints; i++)
            print "| " checkpoint[i] (checkpoint[i] ~ / $/ ? "" : " ") "|"
    } else if (part == "families") {
        print "| family | architecture | as GGUF | class | as a checkpoint | natively |\n|---|---|---|---|---|---|"
        for (i = 1; i <= n_families; i++)
            print "| " people[i] " | " (families[i] == "" ? "" : "`" families[i] "`") " | " whole[i] " | " folders[i] " | " (folders[i] == "" ? "" : cut[i]) " | " how[i] " |"
        print "\nNot natively:\n"
        for (i = 1; i <= n_families; i++)
            if (unrun[i] != "")
                print "* " people[i] ": " unrun[i] "."
    } else if (part == "native") {
        print "| family | as GGUF | as a checkpoint | natively |\n|---|---|---|---|"
        for (i = 1; i <= n_families; i++)
            if (native[i])
                print "| " people[i] " | " whole[i] " | " cut[i] " | " worded[i] " |"
    } else if (part == "tensors") {
        print "| tensor | of | shape | axis |\n|---|---|---|---:|"
        for (i = 1; i <= n_tensor_kinds; i++)
            if (split(tensor_kind[i], f, "\t") == 3)
                print "| " tensors[tensor_kind[i]] " | " f[1] " | " f[2] " | " f[3] " |"
    } else if (part == "refused") {
        print "| tensor | |\n|---|---|"
        for (i = 1; i <= n_tensor_kinds; i++)
            if (tensor_kind[i] !~ /\t/)
                print "| " tensors[tensor_kind[i]] " | " tensor_kind[i] " |"
    } else if (part == "methods") {
        print "| `quant_method` | |\n|---|---|"
        for (i = 1; i <= n_methods; i++)
            print "| " methods[method_kind[i]] " | " (method_kind[i] == "" ? "decoded" : "refused: " method_kind[i]) " |"
    } else if (part == "classes") {
        print "| class in config.json | architecture |\n|---|---|"
        for (i = 1; i <= n_converted; i++)
            print "| " classes[converted[i]] " | `" converted[i] "` |"
    } else {
        fail("there is no part '" part "'")
    }
}

# ---- the page ----

FNR == 1 {
    page = FILENAME
    manual = page ~ /\.1$/
    mark = manual ? ".\\\" " : "<!-- "
    inside = 0
}

inside && index($0, mark "end") == 1 {
    inside = 0
    if (!manual)
        print ""
    print
    next
}
inside { next }
{ print }
index($0, mark "begin ") == 1 {
    inside = 1
    if (!manual)
        print ""
    make($3 == "begin" ? $4 : $3, $3 == "begin" ? $5 : ($4 == "-->" ? "" : $4))
}

END {
    if (!failed && inside)
        fail("a part has no end")
    if (!failed && (!n_cmds || !n_criteria || !n_gates || !n_converted || !n_tensor_kinds))
        fail("the dump lacks commands, criteria, families or tensors")
    if (failed)
        exit 1
}
