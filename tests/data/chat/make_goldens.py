#!/usr/bin/env python3
"""What Hugging Face transformers makes of chat templates and conversations, for tests/unit/test_chat.c.

    make_goldens.py ENGINE [EPOCH]      in the reference environment (tests/interop/reference-env.sh); ENGINE: the
                                        folder of the engine's sources (scripts/engine.sh --source)

Writes chats.json, renderings.jsonl and constructs.jsonl beside itself.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from conversations import conversations  # noqa: E402
from reference import clock, render  # noqa: E402

# name: BOS and EOS. Those of this folder are written for the test; the rest is in models/templates of ENGINE.
DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
TEMPLATES = {
    "llama4": ("<|begin_of_text|>", "<|eot|>"),
    "ernie45": ("<s>", "</s>"),
    "deepseek_v2": DEEPSEEK,
    "mixtral": ("<s>", "</s>"),
    "Qwen-Qwen3-0.6B": ("", "<|im_end|>"),
    "Qwen3-Coder": ("", "<|im_end|>"),
    "openai-gpt-oss-120b": ("<|startoftext|>", "<|return|>"),
    "deepseek-ai-DeepSeek-V3.1": DEEPSEEK,
    "deepseek-ai-DeepSeek-V3.2": DEEPSEEK,
    "GLM-4.6": ("", "<|endoftext|>"),
    "GLM-4.7-Flash": ("", "<|endoftext|>"),
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ("<s>", "<|im_end|>"),
    "mistralai-Mistral-Nemo-Instruct-2407": ("<s>", "</s>"),
    "mistralai-Ministral-3-14B-Reasoning-2512": ("<s>", "</s>"),
    "moonshotai-Kimi-K2": ("[BOS]", "[EOS]"),
    "MiniMax-M2": ("]~!b[", "[e~["),
    "tencent-Hy3": ("<｜hy_begin｜>", "<｜hy_end｜>"),
    "ibm-granite-granite-4.0": ("<|end_of_text|>", "<|end_of_text|>"),
    "google-gemma-4-31B-it": ("<bos>", "<eos>"),
}
CHATS = """user suaua spaces reasoning think_in_text thought_tool thinking_key parts developer toolcall_null calls_parallel
args_string args_hard args_null tool_json tool_end tools_many system_null end_user empty_turns empty unicode_spaces crlf html
parts_image keys_extra kw_think_false kw_effort function_call users_twice""".split()
# Long system prompts and lists of tools make these large; the others show the same.
FEW = {"openai-gpt-oss-120b": "kw_think_false think_in_text users_twice crlf html developer keys_extra".split(),
       "mistralai-Ministral-3-14B-Reasoning-2512": "kw_think_false think_in_text users_twice crlf html keys_extra reasoning".split()}

# Templates of one construct each, on the conversation `tools`. Where Jinja2 and the engine's interpreter read or compute
# something in their own ways, above all.
CONSTRUCTS = r"""
{{ none }}|{{ true }}|{{ 1.0 }}|{{ 1e3 if false else 2 }}|{{ [] }}|{{ {} }}
{{ [1, 'a', none, true, 2.5, [1], {'k': 'v'}] }}
{{ {'a': 1, 'b': "it's", 'c': 'q"', 'd': 'both \' and "'} }}
{{ ('a',) if false else (1, 2) }}
{{ [1.0, 100000000000000000.0, 0.1, 0.00001, 123456789.125, 3.0e0 if false else 4] }}
{{ [1.5, 2.0]|tojson }}{{ {'b': 1, 'a': [true, none, 'ü<&>\'"']}|tojson }}
{{ {'b': [1, {'c': []}], 'a': {}}|tojson(indent=2) }}
{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}{{ 'ü€😀'|tojson(ensure_ascii=true) }}
{{ [1, {'a': 2}]|tojson(separators=(',', ':')) }}
{{ missing|tojson }}
{{ messages|selectattr('role', 'equalto', 'user')|tojson }}
{{ messages|selectattr('role', 'equalto', 'user')|list|length }}
{{ messages|selectattr('tool_calls', 'defined')|map(attribute='role')|join(',') }}
{{ messages|rejectattr('role', 'in', ['user', 'tool'])|map(attribute='content')|list }}
{{ messages|map(attribute='role')|unique|join('-') }}
{{ ['b', 'A', 'c']|sort|join }}{{ ['b', 'A', 'c']|sort(case_sensitive=true)|join }}{{ [3, 1, 2]|sort(reverse=true) }}
{{ ['a', 'b']|map('upper')|list }}{{ [0, 1, 2, 3]|select('odd')|list }}{{ [0, 1, '', 'x']|select|list }}{{ [1, 2]|reject('even')|list }}
{{ {'b': 2, 'A': 1}|dictsort }}{{ {'b': 1, 'a': 2}|dictsort(by='value') }}
{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in {'a': 1, 'b': 2}|items %}{{ k }}={{ v }};{% endfor %}
{% for k in {'a': 1, 'b': 2} %}{{ k }};{% endfor %}
{% for k, v in {'a': 1} %}{{ k }}{% endfor %}
{% for c in 'aü😀' %}{{ c }};{% endfor %}
{% for x in none %}{% endfor %}
{% for x in missing %}a{% else %}b{% endfor %}
{% for i in range(3) %}{{ loop.index }}{{ loop.last }}{{ loop.revindex0 }}{{ loop.previtem is defined }}{{ loop.nextitem|default('-') }} {% endfor %}
{% for i in range(5) if i % 2 %}{{ i }}{{ loop.length }}{% endfor %}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in [1, 2] %}{{ loop.cycle('a', 'b') }}{% endfor %}
{{ range(3) }}{{ range(3)|list }}{{ range(5, 0, -2)|list }}
{{ 'a' + 1 }}
{{ 'a' + none }}
{{ 'a' + missing }}
{{ 'a' ~ 1 ~ none ~ missing ~ [1] }}
{{ [1] + [2] }}{{ 'ab' * 2 }}{{ [0] * 2 }}
{{ 7 / 2 }}|{{ 4 / 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7.5 % 2 }}|{{ 2 ** 3 }}
{{ 1 + 2 ~ 3 }}
{{ 'a' ~ 1 + 2 }}
{{ 2 * 3 ~ 4 }}
{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 5 > 1 < 2 == 2 }}{{ (5 > 1) == true }}{{ 0 < 5 < 3 }}{{ 1 in [1] == true }}
{{ 1 < 'a' }}
{{ 'a' + 1 ~ 'b' }}{{ 'a' + ('b' ~ 1) ~ 2 + 'c' }}{{ ('a' + 'b') ~ 1 }}
{{ 'a' ~ ('b' + 'c') ~ 1 }}{{ 'x' + 'y' ~ 1 ~ 2 + 'z' }}{{ [1 + 2 * 3 - 4] }}
{% set g = messages|map(attribute='role') %}{{ g|join(',') }}|{{ g|join(',') }}{{ g|list }}
{{ '12abc'|int }}{{ '9999999999'|int }}{{ ' 5 '|int }}{{ '1e3'|int }}{{ 'x'|float }}{{ '1.5e2'|float }}{{ none|int }}
{{ '{}: {}'.format('a', 0.0000001) }}{{ '{0}{1}{0}'.format('a', none) }}{{ '{name}!'.format(name=[1]) }}{{ '{{}}'.format() }}
{{ ' a  b '.rsplit() }}{{ 'a.b.c'.rsplit('.', 1) }}{{ 'a.b.c'.rsplit('.') }}
{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' == none }}{{ [1, {'a': 2}] == [1, {'a': 2}] }}{{ missing == other }}
{{ 'a' in 'abc' }}{{ 1 in [1, 2] }}{{ 'k' in {'k': 1} }}{{ 'x' not in missing }}{{ [1] in [[1]] }}
{{ 'a' in none }}
{{ 1 in 'abc' }}
{{ missing in [1] }}{{ missing in {'a': 1} }}{{ none in [none] }}
{{ missing.a }}
{{ messages[0].missing }}|{{ messages[0]['missing'] is defined }}|{{ messages[99] is defined }}
{{ messages[0].missing.deeper }}
{{ messages[99].role }}
{{ none.a is defined }}{{ none['a'] is defined }}{{ 'a'.b is defined }}{{ 5 .a is defined }}
{{ messages[0].items is defined }}{{ messages[0].content.upper() }}{{ messages[0]['get']('role') }}
{{ messages.append(1) }}
{% set _ = {'a': 1}.update({'b': 2}) %}
{{ messages.append is defined }}{{ {}.pop is defined }}
{{ messages[1].get('tool_calls', [])|length }}{{ messages[1].get('x') }}{{ messages[1].get('x', 'd') }}
{{ messages[-1].role }}{{ messages[0:2]|length }}{{ messages[::-1][0].role }}{{ messages[1:][0].role }}
{{ 'aüb😀c'[1] }}{{ 'aüb😀c'[-1] }}{{ 'aüb😀c'[1:4] }}{{ 'aüb😀c'[::-1] }}{{ 'aüb😀c'|length }}{{ 'aü'|reverse }}
{{ 'abc'[5] is defined }}{{ 'abc'[1:99] }}{{ 'abc'[-99:2] }}
{{ missing|default('d') }}{{ none|default('d') }}{{ ''|default('d') }}{{ ''|default('d', true) }}{{ none|d('e', boolean=true) }}
{{ missing|length }}{{ missing|trim }}{{ missing|upper }}{{ missing|list }}{{ missing|join(',') }}{{ missing|items|list }}
{{ none|length }}
{{ none|trim }}{{ none|upper }}{{ none|string }}{{ 5|trim }}{{ [1]|string }}
{{ 'text'|items }}{{ 'text'|items|list }}
{{ '  a b \n'|trim }}|{{ ' \u00a0a\u2028'|trim }}|{{ 'xxaxx'|trim('x') }}
{{ ' a '.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'xay'.strip('xy') }}|{{ '\x1c\x85a\u3000'.strip() }}
{{ 'a  b c '.split() }}{{ 'a,b,,c'.split(',') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ''.split(',') }}{{ ''.split() }}
{{ 'a\nb\r\nc\u2028d'.splitlines() }}
{{ 'abc'.count('b') }}{{ 'aüb'.find('b') }}{{ 'abc'.find('x') }}{{ ', '.join(['1', '2']) }}{{ 'a'.isdigit() }}{{ '12'.isdigit() }}
{{ ', '.join([1]) }}
{{ 'a\nb\r\nc\rd\n'.splitlines() }}{{ ''.splitlines() }}{{ '\n'.splitlines() }}{{ 'abc'.endswith(('x', 'c')) }}{{ [1, 2.5]|sum }}{{ [{'n': 1}, {'n': 2}]|sum('n') }}
{{ [1e3, 2.5e0, 1e2 ] }}
{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'abc'.find('c') }}{{ 'aXa'.replace('a', 'b', 1) }}{{ 'a-b'.partition('-') }}
{{ 'hello wORLD'|title }}{{ 'hello wORLD'|capitalize }}{{ "it's".title() }}{{ 'äß'|upper }}{{ 'ÄÉ'|lower }}{{ 'éa'|capitalize }}
{{ 'a-b_c'.upper() }}{{ 'abc'.count('b') }}{{ 'a'.zfill(3) }}{{ 'ab'.join(['1', '2']) }}{{ 'a'.isdigit() }}{{ '12'.isdigit() }}
{{ '{} and {}'.format(1, 'b') }}{{ '{0}{1}{0}'.format('a', 'b') }}{{ '{x:>5}|{y:.2f}'.format(x='a', y=1.0) }}{{ '{{}}'.format() }}
{{ '%s is %d' % ('a', 3) }}{{ '%05.1f|%-4s|' % (2.25, 'x') }}{{ '%s'|format('y') }}
{{ 'a.b'|replace('.', '') }}{{ 'aaa'|replace('a', 'b', 2) }}{{ 5|replace('5', '6') }}
{{ '\nc'|indent(2) }}|{{ 'a\n'|indent }}|{{ ''|indent }}|{{ 'a\r\nb\n\n'|indent(1) }}|{{ 'a\n b'|indent('\t', true) }}
{{ 'a\nb\n\nc'|indent(2) }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(1, blank=true) }}|{{ 'a\nb'|indent('> ') }}
{{ '42'|int }}{{ 'x'|int }}{{ 'x'|int(7) }}{{ '3.7'|int }}{{ 3.9|int }}{{ '2.5'|float }}{{ true|int }}{{ '0x1f'|int(0, 16) }}
{{ 3.14159|round(2) }}{{ 2.5|round }}{{ 3.2|round(0, 'ceil') }}{{ -5|abs }}{{ [1, 2, 3]|sum }}{{ [1, 5, 2]|max }}{{ [3, 1]|min }}
{{ [1, 2, 3]|first }}{{ [1, 2, 3]|last }}{{ []|first is defined }}{{ 'abc'|first }}{{ {'a': 1}|first }}{{ [1, 2]|reverse|list }}
{{ [1, none, 'a', 2.0, true]|join(', ') }}{{ [{'n': 1}, {'n': 2}]|join('+', attribute='n') }}{{ 'abc'|join('-') }}
{{ [1, 2, 3, 4, 5]|batch(2)|list }}{{ [1, 2, 3]|slice(2)|list }}{{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}]|groupby('a')|length }}
{{ '<a & "b">'|e }}{{ '<a>'|safe }}{{ '<a>'|safe + '<b>' }}{{ '<'|e|e }}
{{ 'the quick brown fox'|truncate(9) }}{{ 'a b  c'|wordcount }}
{{ 1 is integer }}{{ true is integer }}{{ true is number }}{{ 1.0 is float }}{{ 1 is number }}{{ 'a' is number }}
{{ 'a' is string }}{{ [] is sequence }}{{ {} is sequence }}{{ 'a' is sequence }}{{ 1 is sequence }}{{ missing is sequence }}
{{ [] is iterable }}{{ {} is iterable }}{{ 'a' is iterable }}{{ none is iterable }}{{ 1 is iterable }}{{ missing is iterable }}
{{ {} is mapping }}{{ [] is mapping }}{{ none is none }}{{ missing is none }}{{ missing is undefined }}{{ none is defined }}
{{ true is true }}{{ 1 is true }}{{ false is false }}{{ 0 is false }}{{ true is boolean }}{{ 0 is boolean }}
{{ 3 is odd }}{{ 4 is even }}{{ 4 is divisibleby 2 }}{{ 4 is divisibleby(3) }}{{ 3 is eq 3 }}{{ 1 is in [1] }}{{ 'a' is lower }}{{ 'A' is upper }}
{{ range is callable }}{{ 'a' is callable }}{{ 1 is sameas 1 }}{{ true is sameas true }}{{ 'a' is ne 'b' }}{{ 2 is gt 1 }}
{{ not true }}{{ true and 'a' }}{{ '' or 'b' }}{{ none and 1 }}{{ 'a' if false }}{{ 'x' if 0 else 'y' if 0 else 'z' }}
{{ -3 }}{{ - 3 }}{{ 1 - 1 }}{{ 1 -1 }}{{ 5 if false else -1 }}{{ [1, 2][-1] }}{{ -1|abs }}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(x=1, y='a') %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z is defined }}
{% set d = {'a': 1} %}{% set d.a = 2 %}{{ d }}
{% if true %}{% set y = 5 %}{% endif %}{{ y }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ c }}{{ d }}
{% set t %}  a {{ 1 }} {% set inner = 2 %}{% endset %}{{ t }}|{{ inner is defined }}
{% macro m(a, b='d', c=none) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=1) }}
{% set g = 1 %}{% macro m() %}{{ g }}{{ l is defined }}{% endmacro %}{% for l in [1] %}{% set g = 2 %}{{ m() }}{% endfor %}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 'x' %}{{ m() }}
{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}
{% macro m() %}{% set inside = 1 %}{% endmacro %}{{ m() }}{{ inside is defined }}
{% macro outer() %}[{{ caller('x') }}]{% endmacro %}{% call(v) outer() %}{{ v }}!{% endcall %}
{% filter upper %}abc {{ 'd' }}{% endfilter %}
{% generation %}{% set q = 1 %}a{% endgeneration %}{{ q is defined }}
{{ m is defined }}{{ range(2)|length }}{{ dict(a=1, b=2) }}
{{ raise_exception('no: ' + messages[0].role) }}
{{ strftime_now('%Y-%m-%d %H:%M %d %b %Y|%A %B|%j|%%|') }}
{{ undefined_function() }}
{{ 'a'|unknown_filter }}
{{ 'a' is unknown_test }}
{{ messages[0].role.nothing() }}
{{ 1 / 0 }}
{{ [1, 2].index(2) }}{{ [1, 1].count(1) }}{{ (1, 2)[0] }}{{ {'a': 1}.keys()|list }}{{ {'a': 1}.values()|list }}{{ {1: 'x'}[1] }}
{{ {'items': 5}['items'] }}{{ {'items': 5}.items()|list }}
{{ "a" "b" }}{{ 'it\'s' }}{{ "tab\there" }}{{ 'back\\slash' }}{{ '\u00e9\x41' }}{{ '\d' }}
{# comment #}a{#- c -#}  b  {#- d #} c
a  {%- if true %}  b  {%- endif %}  c
  {% if true %}  b
  {% endif %}
c
{{ 1 }}
  {%- set a = 1 -%}

 d  {{- 2 -}}  e
x{% if true %}y{% endif %}
 {% if true %}y{% endif %} {% if true %}z{% endif %}
{% raw %}{{ not }} {% run %}{% endraw %}
{% if true -%}  a  {%- else -%} b {%- endif %}|
{% if messages %}1{% elif x %}2{% else %}3{% endif %}
{{ tools[0].function.parameters.properties|tojson }}
{{ tools }}
{{ messages[1].tool_calls[0].function.arguments }}
{{ messages[1].tool_calls[0].function.arguments|items|list }}
{% for m in messages %}{% macro h(n) %}{{ n }}{% if n > 0 %}{{ h(n - 1) }}{% endif %}{% endmacro %}{{ h(2) }}{% endfor %}
{% macro a(n) %}{% macro b(k) %}{{ k }}{% if k %}{{ b(k - 1) }}{% endif %}{% endmacro %}{{ b(n) }}{% endmacro %}{{ a(2) }}
{% for m in messages %}{% set x = m.role %}{% macro f() %}{{ x }}{% endmacro %}{% if loop.first %}{% set x = 'later' %}{% endif %}{{ f() }}{% endfor %}
{{ '  a b  c '.split(none, 1) }}{{ ' a  b '.split() }}{{ 'aXbX'.split('X') }}{{ 'éaé'.strip('é') }}{{ 'añb'[1] }}{{ 'añbc'[1:3] }}{{ 'añbc'[::-1] }}{{ 'añ'|reverse }}{{ 'añ'.replace('', '-') }}
""".strip("\n")


def constructs():
    """One line each, but those that go on in lines that do not start a template: see `joined`."""
    joined = {"  {% if true %}  b": 3, "{{ 1 }}": 4}
    lines = CONSTRUCTS.split("\n")
    while lines:
        n = joined.get(lines[0], 1)
        yield "\n".join(lines[:n])
        lines = lines[n:]


def write(name, rows):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    engine = os.path.join(sys.argv[1], "models", "templates")
    clock(int(sys.argv[2]) if len(sys.argv) > 2 else 1785340805)
    chats = conversations()
    rows = []
    for name, (bos, eos) in TEMPLATES.items():
        path = os.path.join(HERE, "templates", name + ".jinja")
        if not os.path.exists(path):
            path = os.path.join(engine, name + ".jinja")
        with open(path, encoding="utf-8", newline="") as f:
            text = f.read()
        for case in CHATS:
            if name in FEW and case not in FEW[name] + ["suaua", "thought_tool"]:
                continue
            row = {"template": name, "case": case, "bos": bos, "eos": eos}
            rows.append(dict(row, **render(text, chats[case], bos, eos)))
    write("renderings.jsonl", rows)
    with open(os.path.join(HERE, "chats.json"), "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(json.dumps(k) + ":" + json.dumps(chats[k], ensure_ascii=False, separators=(",", ":"))
                                    for k in CHATS + ["tools"]) + "\n}\n")
    write("constructs.jsonl", [dict({"text": t}, **render(t, chats["tools"], "<s>", "</s>")) for t in constructs()])


if __name__ == "__main__":
    main()
