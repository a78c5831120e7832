"""Conversations that chat templates are tried on, as calibration rows hold them: messages, tools, documents,
chat_template_kwargs. conversations() gives them by name."""
import json


def U(content, **more):
    return dict({"role": "user", "content": content}, **more)


def A(content, **more):
    return dict({"role": "assistant", "content": content}, **more)


def S(content, **more):
    return dict({"role": "system", "content": content}, **more)


def D(content):
    return {"role": "developer", "content": content}


args = {"city": "Zürich", "days": 3}


def call(a, name="get_weather", id="call_a1B2c3D4e"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": a}}


def TO(t, id="call_a1B2c3D4e", name="get_weather"):
    return {"role": "tool", "tool_call_id": id, "name": name, "content": t}


weather = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "the city"}, "days": {"type": "integer"}}, "required": ["city"]}}}
tools = [weather]
search = {"type": "function", "function": {"name": "search", "description": "Searches <b>the web</b> & \"more\", it's slow\nüber alles 中文 😀", "parameters": {"type": "object", "properties": {
  "query": {"type": "string", "description": "words & 'phrases' <here>", "enum": ["a", "b & c", "ü", "\"q\"", "it's"]},
  "limit": {"type": ["integer", "null"], "default": None, "minimum": 0, "maximum": 9007199254740993},
  "weight": {"type": "number", "default": 1.0, "minimum": 1e-07, "maximum": 1e22, "multipleOf": 0.1},
  "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None, "title": "When"},
  "filter": {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}, "minItems": 1}, "range": {"type": "array", "items": {"type": "number"}, "default": [0, 0.5, -1.5e-05]}, "strict": {"type": "boolean", "default": False}}, "required": ["tags"], "additionalProperties": False},
  "mode": {"oneOf": [{"const": "fast"}, {"const": 1}, {"const": True}]},
  "any": {}}, "required": ["query", "weight"], "additionalProperties": False}, "strict": True}}
noparams = {"type": "function", "function": {"name": "now", "description": "The time."}}
emptyparams = {"type": "function", "function": {"name": "ping", "description": "", "parameters": {"type": "object", "properties": {}}}}
returns = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {"a": {"type": "number", "description": "first"}, "b": {"type": "number"}}, "required": ["a", "b"]}, "return": {"type": "number", "description": "the sum"}, "response": {"type": "number"}}}
many = [weather, search, noparams, emptyparams, returns]
hard = {"text": "a <b> & 'c' \"d\" \\ / \n\t\r\b\f\u0001\u001f\u007f\u0085\u2028 ü 中 😀", "one": 1.0, "tiny": 1e-07, "small": 0.0001, "smaller": 1e-05, "big": 1e+16, "bigger": 1e22, "pi": 3.141592653589793, "third": 0.1, "neg": -2.5, "zero": 0.0, "negzero": -0.0,
        "int": 9007199254740993, "int64": 9223372036854775807, "minint": -9223372036854775808, "t": True, "f": False, "n": None, "list": [1, 2.0, "x", None, True, [], {}], "obj": {"b": 1, "a": {"z": [], "y": {}}}, "": "empty key", "k\"ey": "quote", "ключ": "é"}
deep = {"v": 1}
for i in range(20):
    deep = {"k%d" % i: [deep, i]}
long = "The quick brown fox jumps over the lazy dog. " * 400
turns = []
for i in range(50):
    turns += [U(f"Question {i}?"), A(f"Answer {i}.", **({"reasoning_content": f"Thought {i}."} if i % 3 == 0 else {}))]
seq = [U("Weather in Zürich?"), A("I look.", tool_calls=[call(args)]), TO('{"t": 21}'), A("21 degrees.")]
CHATS = {}


def put(name, messages, **more):
    CHATS[name] = dict({"messages": messages}, **more)


put("user", [U("What is a prime number?")])
put("ua", [U("What is a prime number?"), A("A number with two divisors.")])
put("sua", [S("You are terse."), U("What is a prime number?"), A("Two divisors.")])
put("suaua", [S("You are terse."), U("Hi"), A("Hello."), U("Name one prime."), A("7")])
put("spaces", [S(" You are terse. \n"), U("  Hi \n"), A("\n Hello. \n\n"), U(" Name one\n\nprime. "), A(" 7 \n")])
put("think_in_text", [U("2+2?"), A("<think>\nEasy: 4.\n</think>\n\n4"), U("3+3?"), A("<think>\nEasy: 6.\n</think>\n\n6")])
put("reasoning", [U("2+2?"), A("4", reasoning_content="Easy: 4."), U("3+3?"), A("6", reasoning_content="Easy: 6.")])
put("thinking_key", [U("2+2?"), A("4", thinking="Easy: 4."), U("3+3?"), A("6", thinking="Easy: 6.")])
put("parts", [U([{"type": "text", "text": "What is"}, {"type": "text", "text": " a prime?"}]), A("Two divisors.")])
put("developer", [D("You are terse."), U("Hi"), A("Hello.")])
put("toolcall_null", [U("Weather in Zürich?"), A(None, tool_calls=[call(args)]), TO('{"t": 21}'), A("21 degrees.")])
put("toolcall_empty", [U("Weather in Zürich?"), A("", tool_calls=[call(args)]), TO('{"t": 21}'), A("21 degrees.")])
put("toolcall_text", seq)
put("tools", seq, tools=tools)
# thoughts
put("reasoning_key", [U("2+2?"), A("4", reasoning="Easy: 4."), U("3+3?"), A("6", reasoning="Easy: 6.")])
put("reasoning_empty", [U("2+2?"), A("4", reasoning_content=""), U("3+3?"), A("6", reasoning_content=None)])
put("reasoning_spaces", [U("2+2?"), A("\n\n4\n", reasoning_content="\n Easy: 4.\n\n"), U("3+3?"), A("6 ", reasoning_content="  \n")])
put("think_twice", [U("2+2?"), A("<think>a</think>b<think>c</think>d</think>e"), U("x"), A("</think>"), U("y"), A("<think>"), U("z"), A("<think></think>")])
put("think_and_key", [U("2+2?"), A("<think>\ntext\n</think>\n4", reasoning_content="key")])
put("thought_tool", [U("Weather?"), A("", reasoning_content="I need it.", tool_calls=[call(args)]), TO("21"), A("It is 21.", reasoning_content="Now I know."), U("Thanks"), A("Welcome.", reasoning_content="Polite.")], tools=tools)
put("thought_tool_open", [U("Weather?"), A(None, reasoning_content="I need it.", thinking="I need it.", tool_calls=[call(args)]), TO("21"), A(None, reasoning_content="Again.", thinking="Again.", tool_calls=[call({"city": "Bern"}, id="call_b1B2c3D4f")]), TO("19", id="call_b1B2c3D4f")], tools=tools)
# tools
put("calls_several", [U("Weather here and there?"), A("", tool_calls=[call(args)]), TO("21"), A("And there.", tool_calls=[call({"city": "Bern", "days": 1}, id="callb1B2c")]), TO("19", id="callb1B2c"), A("21 and 19."), U("Thanks"), A("Welcome.")], tools=tools)
put("calls_parallel", [S("Be brief."), U("Weather here and there?"), A("", tool_calls=[call(args), call({"city": "Bern", "days": 1}, id="callb1B2c"), call({"a": 1, "b": 2.5}, name="add", id="callcccc1")]), TO("21"), TO("19", id="callb1B2c"), TO("3.5", id="callcccc1", name="add"), A("21, 19 and 3.5.")], tools=many)
put("calls_parallel_null", [U("Weather here and there?"), A(None, tool_calls=[call(args), call({"city": "Bern"}, id="callb1B2c")]), TO("21"), TO("19", id="callb1B2c"), A("21 and 19.")], tools=tools)
put("args_string", [U("Weather?"), A("", tool_calls=[call('{"city": "Zürich", "days": 3}')]), TO("21"), A("21.")], tools=tools)
put("args_hard", [U("Search"), A("", tool_calls=[call(hard, name="search")]), TO(json.dumps(hard, ensure_ascii=False), name="search"), A("Done.")], tools=many)
put("args_hard_string", [U("Search"), A("", tool_calls=[call(json.dumps(hard), name="search")]), TO("ok"), A("Done.")], tools=many)
put("args_empty", [U("Time"), A("", tool_calls=[call({}, name="now")]), TO("12:00", name="now"), A("12:00.")], tools=many)
put("args_empty_string", [U("Time"), A("", tool_calls=[call("", name="now")]), TO("12:00", name="now"), A("12:00.")], tools=many)
put("args_null", [U("Time"), A("", tool_calls=[call(None, name="now")]), TO("12:00", name="now"), A("12:00.")], tools=many)
put("args_deep", [U("Deep"), A("", tool_calls=[call(deep, name="search")]), TO("ok"), A("Done.")], tools=tools)
put("args_list", [U("List"), A("", tool_calls=[call([1, "a"], name="search")]), TO("ok"), A("Done.")], tools=tools)
put("calls_bare", [U("Weather?"), A("", tool_calls=[{"name": "get_weather", "arguments": args}]), {"role": "tool", "content": "21"}, A("21.")], tools=tools)
put("calls_no_id", [U("Weather?"), A("", tool_calls=[{"type": "function", "function": {"name": "get_weather", "arguments": args}}]), {"role": "tool", "content": "21"}, A("21.")], tools=tools)
put("calls_no_content", [U("Weather?"), {"role": "assistant", "tool_calls": [call(args)]}, {"role": "tool", "content": "21", "tool_call_id": "call_a1B2c3D4e"}, A("21.")], tools=tools)
put("calls_empty_list", [U("Hi"), A("Hello.", tool_calls=[])], tools=tools)
put("calls_none", [U("Hi"), A("Hello.", tool_calls=None)], tools=tools)
put("calls_last", [U("Weather?"), A("I look.", tool_calls=[call(args)])], tools=tools)
put("calls_short_id", [U("Weather?"), A("", tool_calls=[call(args, id="1")]), TO("21", id="1"), A("21.")], tools=tools)
put("calls_id9", [U("Weather?"), A("", tool_calls=[call(args, id="abcdef123")]), TO("21", id="abcdef123"), A("21.")], tools=tools)
put("function_call", [U("Weather?"), A(None, function_call={"name": "get_weather", "arguments": '{"city": "Bern"}'}), {"role": "function", "name": "get_weather", "content": "21"}, A("21.")], tools=tools)
put("tool_json", [U("Weather?"), A("", tool_calls=[call(args)]), TO({"t": 21, "u": ["°C", None, True, 1.5]}), A("21.")], tools=tools)
put("tool_list", [U("Weather?"), A("", tool_calls=[call(args)]), TO([{"t": 21}, {"t": 19}]), A("21.")], tools=tools)
put("tool_parts", [U("Weather?"), A("", tool_calls=[call(args)]), TO([{"type": "text", "text": "21"}, {"type": "text", "text": " degrees"}]), A("21.")], tools=tools)
put("tool_empty", [U("Weather?"), A("", tool_calls=[call(args)]), TO(""), A("Nothing.")], tools=tools)
put("tool_number", [U("Weather?"), A("", tool_calls=[call(args)]), TO(21.5), A("21.5.")], tools=tools)
put("tool_role_ipython", [U("Weather?"), A("", tool_calls=[call(args)]), {"role": "ipython", "content": "21"}, A("21.")], tools=tools)
put("tool_first", [TO("21"), A("21.")])
put("tool_end", [U("Weather?"), A("", tool_calls=[call(args)]), TO("21")], tools=tools)
put("tool_two_users", [U("Weather?"), A("", tool_calls=[call(args)]), TO("21"), U("Well?"), A("21."), U("And?"), A("", tool_calls=[call({"city": "Bern"})]), TO("19"), A("19.")], tools=tools)
put("tools_many", [U("Hi"), A("Hello.")], tools=many)
put("tools_many_system", [S("You are terse."), U("Hi"), A("Hello.")], tools=many)
put("tools_empty", [U("Hi"), A("Hello.")], tools=[])
put("tools_bare", [U("Hi"), A("Hello.")], tools=[weather["function"]])
put("tools_noparams", [U("Hi"), A("Hello.")], tools=[noparams])
put("tools_emptyparams", [U("Hi"), A("Hello.")], tools=[emptyparams, noparams])
put("tools_nodescription", [U("Hi"), A("Hello.")], tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}}])
put("tools_extra", [U("Hi"), A("Hello.")], tools=[dict(weather, strict=True, x=[1, 2.5, None])])
put("tools_refs", [U("Hi"), A("Hello.")], tools=[{"type": "function", "function": {"name": "f", "description": "F", "parameters": {"$defs": {"P": {"type": "object", "properties": {"x": {"type": "number"}}}}, "type": "object", "properties": {"p": {"$ref": "#/$defs/P"}, "q": {"type": "array", "items": {"$ref": "#/$defs/P"}}, "u": {"type": ["string", "null"], "enum": ["a", None, 1, 2.5, True]}, "n": {"type": "string", "nullable": True, "default": "x"}}}}}])
# shapes
put("developer_system", [S("One."), D("Two."), U("Hi"), A("Hello.")])
put("system_twice", [S("One."), S("Two."), U("Hi"), A("Hello.")])
put("system_late", [U("Hi"), A("Hello."), S("Be brief."), U("And?"), A("Yes.")])
put("system_only", [S("You are terse.")])
put("system_empty", [S(""), U("Hi"), A("Hello.")])
put("system_null", [S(None), U("Hi"), A("Hello.")])
put("no_user", [S("You are terse."), A("Hello.")])
put("assistant_first", [A("Hello."), U("Hi"), A("Yes?")])
put("users_twice", [U("Hi"), U("Again"), A("Hello.")])
put("assistants_twice", [U("Hi"), A("Hello."), A("Again.")])
put("end_user", [S("You are terse."), U("Hi"), A("Hello."), U("Name one prime.")])
put("empty_turns", [S(""), U(""), A(""), U(""), A("")])
put("null_turns", [U("Hi"), A(None), U(None), A("Yes.")])
put("absent_content", [{"role": "user"}, {"role": "assistant"}])
put("empty", [])
put("role_unknown", [U("Hi"), {"role": "critic", "content": "Bad."}, A("Hello.")])
put("role_case", [{"role": "User", "content": "Hi"}, {"role": "Assistant", "content": "Hello."}])
put("role_model", [U("Hi"), {"role": "model", "content": "Hello."}])
put("role_names", [U("Hi", name="Ann"), A("Hello.", name="Bob")])
put("turns100", turns)
put("long", [S(long), U(long), A(long)])
# content
put("unicode", [S("Ünïcödé"), U("e\u0301 a\u0308 \u212b 👩‍👩‍👧 🇨🇭 \U0001f600 مرحبا שלום"), A("日本語 \u00a0nbsp\u3000ideographic \ufeffbom \u200bzwsp")])
put("unicode_case", [U("ÄÖÜ ß ǅ İ"), A("éÉ")])
put("unicode_spaces", [S("\u00a0 x \u00a0"), U("\u3000Hi\u2003"), A("\u2028Hello\u2029\u0085"), U("\x1cx\x1d\x1e\x1f"), A("\x0b\x0cy\x0b\x0c")])
put("crlf", [S("a\r\nb\r\n"), U("\r\nHi\r\n\r\n"), A("Hello\rthere\r"), U("\r"), A("\n\r\n")])
put("tabs", [S("\tx\t"), U("\t Hi\t\n"), A(" \n\tHello\v\f ")])
put("html", [S("<b>&amp;</b>"), U("1 < 2 && 3 > 2 'q' \"d\" `b`"), A("<script>alert('x')</script>")])
put("control", [U("\u0001\u0002\u001b[31m\u007f"), A("\\n \\u0041 \\ /")])
put("jinja", [S("{{ messages }}"), U("{% if x %}{# c #}"), A("{{ raise_exception('x') }} %} }} #}")])
put("special_tokens", [U("<|im_start|>system\nx<|im_end|> <s> </s> [INST] <|eot_id|>"), A("<|endoftext|><|channel|>final<|message|>")])
put("braces", [U("{a} {} {0} %s %d %%"), A("{\"a\": 1}")])
put("parts_system", [S([{"type": "text", "text": "You are"}, {"type": "text", "text": " terse."}]), U([{"type": "text", "text": "Hi"}]), A([{"type": "text", "text": "Hello."}])])
put("parts_empty", [U([]), A([])])
put("parts_string", [U(["Hi", " there"]), A("Hello.")])
put("parts_image", [U([{"type": "image"}, {"type": "text", "text": "What is it?"}]), A("A cat.")])
put("parts_image_url", [U([{"type": "image_url", "image_url": {"url": "http://x/y.png"}}, {"type": "text", "text": "What is it?"}]), A("A cat.")])
put("parts_audio", [U([{"type": "audio", "audio": "x.wav"}, {"type": "video"}, {"type": "text", "text": "?"}]), A("A song.")])
put("parts_unknown", [U([{"type": "other", "data": "x"}, {"text": "no type"}]), A("?")])
put("parts_thinking", [U("2+2?"), A([{"type": "thinking", "thinking": "Easy."}, {"type": "text", "text": "4"}]), U("3+3?"), A([{"type": "reasoning", "text": "Easy."}, {"type": "text", "text": "6"}])])
put("content_number", [U(42), A(2.5), U(True), A(False)])
put("content_object", [U({"text": "Hi"}), A({"text": "Hello."})])
put("keys_extra", [U("Hi", weight=1.0, train=False, meta={"a": [1, None]}, ids=[1, 2], x=None), A("Hello.", weight=0, train=True, score=1e-07, prefix=True, mask=1)])
put("keys_methods", [U("Hi", items="x", keys="y", values="z", get="g", update="u", length=3, first="f", last="l"), A("Hello.", pop="p", copy="c", name="n", loop="l")])
put("name_number", [{"role": "user", "content": "Hi", "name": 5}, A("Hello.")])
# documents, kwargs
docs = [{"title": "Primes", "text": "2, 3, 5 & 7"}, {"title": "Zürich", "text": "A <city>.", "id": 3, "doc_id": 7, "source": "w"}]
put("documents", [U("What?"), A("Primes.")], documents=docs)
put("documents_system", [S("Be brief."), U("What?"), A("Primes.")], documents=docs)
put("documents_tools", [U("What?"), A("Primes.")], documents=docs, tools=tools)
put("documents_empty", [U("What?"), A("Primes.")], documents=[])
rs = [S("Be brief."), U("2+2?"), A("4", reasoning_content="Easy: 4."), U("3+3?"), A("6", reasoning_content="Easy: 6.")]
put("kw_think_true", rs, chat_template_kwargs={"enable_thinking": True, "thinking": True})
put("kw_think_false", rs, chat_template_kwargs={"enable_thinking": False, "thinking": False})
put("kw_think_false_tools", seq, tools=tools, chat_template_kwargs={"enable_thinking": False, "thinking": False})
put("kw_effort", rs, chat_template_kwargs={"reasoning_effort": "high", "thinking_effort": "high", "reasoning": True})
put("kw_effort_none", rs, chat_template_kwargs={"reasoning_effort": "none"})
put("kw_budget", rs, chat_template_kwargs={"thinking_budget": 512, "reasoning_budget": 512, "max_thinking_tokens": 100})
put("kw_builtin", seq, tools=tools, chat_template_kwargs={"builtin_tools": ["browser", "python", "brave_search"], "code_interpreter_description": "Runs."})
put("kw_builtin_only", [S("Be brief."), U("Hi"), A("Hello.")], chat_template_kwargs={"builtin_tools": ["browser", "python", "code_interpreter"]})
put("kw_identity", [U("Hi"), A("Hello.")], chat_template_kwargs={"model_identity": "You are Z.", "default_system_message": "D.", "system_prompt": "P.", "date_string": "01 Jan 2020", "custom_tools": tools, "tools_in_user_message": False, "xml_tools": ["x"], "python_tools": ["y"]})
put("kw_date", seq, tools=tools, chat_template_kwargs={"date_string": "01 Jan 2020", "today": "2020-01-01", "current_date": "2020-01-01", "tools_in_user_message": True})
put("kw_flags", rs, chat_template_kwargs={"clear_thinking": False, "preserve_thinking": True, "keep_thinking": True, "truncate_history_thinking": False, "remove_thinking": False, "interleaved": True, "add_vision_id": True, "keep_past_thinking": True, "drop_thinking": False})
put("kw_flags_off", rs, chat_template_kwargs={"clear_thinking": True, "preserve_thinking": False, "keep_thinking": False, "truncate_history_thinking": True, "keep_past_thinking": False, "drop_thinking": True})
put("kw_flags_tools", CHATS["thought_tool"]["messages"] + CHATS["calls_parallel"]["messages"][1:], tools=many, chat_template_kwargs={"clear_thinking": False, "preserve_thinking": True, "keep_thinking": True, "truncate_history_thinking": False, "enable_thinking": True, "thinking": True})
put("kw_override", [U("Hi"), A("Hello.")], chat_template_kwargs={"bos_token": "<B>", "eos_token": "<E>"})


def conversations():
    return CHATS
