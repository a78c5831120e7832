// chat.cpp - see chat.h. The one file of C++ here: the engine's Jinja interpreter is C++.
//
// That interpreter is more lenient than Jinja2 and differs in many places, so it is used without being touched:
// its lexer and parser read a template, its values hold what a template works on, its tree is what runs. But most
// nodes of a parsed template, classes with a virtual execute_impl, are exchanged for subclasses of ours, which
// compute as Python and Jinja2's sandbox do (mend):
//   - operators, comparisons, `in`: Python's types, so that text + none is an error
//   - members, items, slices: methods before keys, characters instead of bytes, what is missing is undefined and
//     says so when it is used, what changes a list or a dict is forbidden
//   - filters and tests (the table of each says which); those that generate can only be walked; tojson is
//     transformers'; trim and split know all blanks of Unicode; |safe makes what is added to it HTML
//   - {{ }} writes None, lists and dicts as Python does
//   - for: each turn has names of its own; texts are walked by characters, dicts by keys
//   - macros see the names where they are defined; {% set %}..{% endset %}, {% call %}, {% filter %} and
//     {% generation %} keep theirs to themselves
//   - range() ends at 100,000; strftime_now takes the time from the caller; only a namespace can be assigned to
// Not mended, and refused (when it is parsed, or run): {% raw %}, `+` in a tag, tuples of one,
// dicts given as **arguments, `**`, methods and filters of Jinja2 that are in neither table. A range is written as a list.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

extern "C" {
#include "base/sig.h"
#include "engine/chat.h"
#include "engine/words.h"
}

static constexpr unsigned max_depth = 200; // of brackets in a template, of values in a conversation

static bool holds_text(const json_t *v, unsigned depth)
{
    if (json_is_string(v))
        return json_string_length(v) > 0;
    if (depth > max_depth)
        return true;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (holds_text(json_array_get(v, i), depth + 1))
            return true;
    const char *key;
    json_t *member;
    json_object_foreach (const_cast<json_t *>(v), key, member)
        if (holds_text(member, depth + 1))
            return true;
    return false;
}

bool chat_holds_text(const char *key, const json_t *v)
{
    for (const char *name : {"role", "id", "tool_call_id"})
        if (!strcmp(key, name))
            return false;
    return holds_text(v, 0);
}

#ifdef REAP_JINJA

#ifndef NDEBUG
#define NDEBUG // the nodes assert what a template may get wrong; it is looked at when they run
#endif
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>
#include <cwctype>
#include <locale.h>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace
{

using jinja::context;
using jinja::func_args;
using jinja::is_val;
using jinja::mk_val;
using jinja::statement;
using jinja::statement_ptr;
using jinja::statements;
using jinja::value;

constexpr size_t max_template = 1u << 20;
constexpr size_t max_range = 100000;

// What a template says by raise_exception. Not a std::exception, so that the interpreter passes it on as it is.
struct refusal {
    std::string words;
};

// ---- bounds of a run ----

// There are templates that walk all messages for each message (Gemma 4), so a longer conversation has more.
constexpr uint64_t base_steps = 3000000, message_steps = 10000, max_messages = 2000;

// What one rendering may take: a template that never ends, or calls itself without end, is refused. Of one thread.
struct budget {
    uint64_t steps = 0, values = 0;
    uint64_t max_steps = base_steps;
    unsigned calls = 0;
    const char *stack = nullptr; // where it began
};
thread_local budget spent;
#ifdef REAP_FUZZ
constexpr uint64_t max_values = 2000000; // to look takes ten times as long under the sanitizers
#else
constexpr uint64_t max_values = 20000000;
#endif
constexpr uint64_t range_steps = 10; // of a number of a range(): each makes a scope when it is walked
constexpr size_t max_text = 64u << 20;
constexpr unsigned max_calls = 60;
constexpr std::ptrdiff_t max_stack =
    3 << 20; // of 8 MiB; an expression, which is not looked at, takes below one

struct interruption {
};

void step(uint64_t n = 1)
{
    spent.steps += n;
    if (spent.steps > spent.max_steps)
        throw refusal{"it takes more than " + std::to_string(spent.max_steps) + " steps"};
    if (!(spent.steps & 255) && sig_pending())
        throw interruption{};
    auto *here = static_cast<const char *>(__builtin_frame_address(0));
    if (spent.stack && (spent.stack > here ? spent.stack - here : here - spent.stack) > max_stack)
        throw refusal{"its blocks and calls are nested too deep"};
}

// For each value that is compared or written: one that holds another twice, which does, ends no sooner.
void look(uint64_t n = 1)
{
    spent.values += n;
    if (spent.values > max_values)
        throw refusal{"it looks at more than 20,000,000 values"};
    if (!(spent.values & 4095) && sig_pending())
        throw interruption{};
}

// Bytes of texts: copied as a whole, kept as a new text, looked at one by one. A hostile template has seconds, not minutes,
// and less than five gigabytes.
void copied(size_t bytes)
{
    look(bytes >> 9);
}
void kept(size_t bytes)
{
    look(bytes >> 8);
}
void walked(size_t bytes)
{
    look(bytes >> 4);
}

struct one_call {
    one_call()
    {
        step();
        if (++spent.calls > max_calls)
            throw refusal{"it calls itself more than 60 deep"};
    }
    ~one_call()
    {
        spent.calls--;
    }
};

// ---- kinds of values, and Python's words for them ----

// The character at `at`, which moves behind it. The text is valid UTF-8; a stray byte counts as a character.
uint32_t next_char(const std::string &s, size_t &at)
{
    auto byte = [&](size_t i) { return static_cast<unsigned char>(i < s.size() ? s[i] : 0); };
    unsigned char c = byte(at);
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    uint32_t v = n == 1 ? c : c & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        v = (v << 6) | (byte(at + i) & 0x3fu);
    at += n;
    return v;
}

enum class kind {
    undefined,
    none,
    boolean,
    integer,
    real,
    text,
    list,
    tuple,
    generator,
    dict,
    space,
    function
};

// What filters like selectattr give: it can be walked, not counted, indexed or written as JSON.
struct generator : jinja::value_array_t {
    using value_array_t::value_array_t;
};
// What |safe gives: what is added to it is escaped for HTML.
struct markup : jinja::value_string_t {
    using value_string_t::value_string_t;
};
// namespace(): the one object whose members a template may set. It has no methods.
// Namespaces may hold each other in a circle or a long chain: one run keeps them all, and empties them at its end.
struct space : jinja::value_object_t {
    space()
    {
        has_builtins = false;
    }
};
thread_local std::vector<std::shared_ptr<space>> spaces;

kind kind_of(const value &v)
{
    const jinja::value_t &x = *v;
    const std::type_info &t = typeid(x);
    if (t == typeid(jinja::value_string_t) || t == typeid(markup))
        return kind::text;
    if (t == typeid(jinja::value_object_t))
        return static_cast<const jinja::value_object_t &>(x).has_builtins ? kind::dict : kind::space;
    if (t == typeid(jinja::value_undefined_t))
        return kind::undefined;
    static const struct {
        const std::type_info &type;
        kind k;
    } others[] = {{typeid(jinja::value_none_t), kind::none},   {typeid(jinja::value_bool_t), kind::boolean},
                  {typeid(jinja::value_int_t), kind::integer}, {typeid(jinja::value_float_t), kind::real},
                  {typeid(jinja::value_array_t), kind::list},  {typeid(jinja::value_tuple_t), kind::tuple},
                  {typeid(generator), kind::generator},        {typeid(space), kind::space}};
    for (const auto &o : others)
        if (t == o.type)
            return o.k;
    return kind::function;
}

bool is(const value &v, kind k)
{
    return kind_of(v) == k;
}
bool is_markup(const value &v)
{
    return dynamic_cast<const markup *>(v.get()) != nullptr;
}
bool is_whole(const value &v)
{
    kind k = kind_of(v);
    return k == kind::integer || k == kind::boolean;
}
bool is_number(const value &v)
{
    return is_whole(v) || is(v, kind::real);
}
double real_of(const value &v)
{
    return is(v, kind::real) ? v->as_float() : static_cast<double>(v->as_int());
}
// The text of v, where it stands; what v keeps in parts, or is no text, is put together in `room`.
const std::string &text_in(const value &v, std::string &room)
{
    const auto *parts =
        is(v, kind::text) ? &static_cast<const jinja::value_string_t &>(*v).val_str.parts : nullptr;
    const bool whole = parts && parts->size() == 1;
    if (!whole)
        room = v->as_string().str();
    const std::string &s = whole ? parts->front().val : room;
    copied(s.size());
    return s;
}
std::string text_of(const value &v)
{
    std::string room;
    const std::string &s = text_in(v, room);
    return &s == &room ? std::move(room) : s;
}

const char *type_name(const value &v)
{
    static const char *const names[] = {"Undefined", "NoneType", "bool",      "int",
                                        "float",     "str",      "list",      "tuple",
                                        "generator", "dict",     "Namespace", "function"};
    return is_markup(v) ? "Markup" : names[static_cast<int>(kind_of(v))];
}

[[noreturn]] void refuse(std::string words)
{
    throw refusal{std::move(words)};
}
[[noreturn]] void refuse_undefined(const value &v)
{
    refuse(static_cast<const jinja::value_undefined_t &>(*v).hint);
}
template <typename T> value text_as(std::string s)
{
    if (s.size() > max_text)
        refuse("a text of more than 64 MiB");
    kept(s.size());
    auto v = std::make_shared<T>();
    v->val_str.parts.push_back({false, std::move(s)});
    return v;
}
value text(std::string s)
{
    return text_as<jinja::value_string_t>(std::move(s));
}
value safe(std::string s)
{
    return text_as<markup>(std::move(s));
}
// A text of the same kind as v: what is made of markup is markup.
value like(const value &v, std::string s)
{
    return is_markup(v) ? safe(std::move(s)) : text(std::move(s));
}
void add(std::string &out, const std::string &more)
{
    if ((out += more).size() > max_text)
        refuse("a text of more than 64 MiB");
}
// Where `sub` begins in s, at `from` or behind it; npos: nowhere. In time that grows with their lengths, not their product.
size_t place_in(const std::string &s, const std::string &sub, size_t from = 0)
{
    const void *p =
        from <= s.size() ? memmem(s.data() + from, s.size() - from, sub.data(), sub.size()) : nullptr;
    return p ? static_cast<size_t>(static_cast<const char *>(p) - s.data()) : std::string::npos;
}
size_t last_place_in(const std::string &s, const std::string &sub)
{
    for (size_t at = s.size() - std::min(s.size(), sub.size()) + 1; at-- > 0;) {
        look(1 + (s[at] == sub[0] ? sub.size() >> 9 : 0));
        if (!s.compare(at, sub.size(), sub))
            return at;
    }
    return std::string::npos;
}
// The engine's numbers keep the other kind of number beside them, and convert what does not fit.
value whole(int64_t i)
{
    bool fits = i <= INT64_MAX - 512;
    auto v = mk_val<jinja::value_int>(fits ? i : 0);
    if (!fits) {
        v->val_int = i;
        v->val_flt = INFINITY;
    }
    return v;
}
value real(double d)
{
    bool fits = !(std::fabs(d) >= 9e18);
    auto v = mk_val<jinja::value_float>(fits ? d : 0);
    v->val_flt = d;
    return v;
}
value truth(bool b)
{
    return mk_val<jinja::value_bool>(b);
}
// A list, a tuple or a dict that was made. How deep it is stands in a member that the engine does not use for these;
// a bound, so that nothing that walks or frees it recurses without end.
value bounded(const value &made)
{
    int64_t deepest = 0;
    auto deeper = [&](const value &v) {
        if (is_val<jinja::value_array>(v) || is(v, kind::dict))
            deepest = std::max(deepest, v->val_int);
    };
    for (const value &v : made->val_arr)
        deeper(v);
    for (const auto &p : made->val_obj)
        deeper(p.second);
    if (deepest >= max_depth)
        refuse("lists and dicts are more than 200 deep");
    made->val_int = deepest + 1;
    return made;
}
value list(std::vector<value> v)
{
    return bounded(mk_val<jinja::value_array>(std::move(v)));
}
value tuple(std::vector<value> v)
{
    return bounded(mk_val<jinja::value_tuple>(std::move(v)));
}
value pair_of(const std::pair<value, value> &p)
{
    return tuple({p.first, p.second});
}
value missing(const std::string &words)
{
    return mk_val<jinja::value_undefined>(words);
}
// As looked at; deep: with all that it holds.
void mark(const context &ctx, const value &v, bool deep = false)
{
    if (!ctx.is_get_stats)
        return;
    v->stats.used = true;
    if (!deep || is(v, kind::space) || v->stats.ops.count("deep"))
        return;
    v->stats.ops.insert("deep");
    for (const value &x : v->val_arr)
        mark(ctx, x, true);
    for (const auto &p : v->val_obj)
        mark(ctx, p.second, true);
}

bool is_true(const value &v)
{
    return is(v, kind::generator) || is(v, kind::function) || is(v, kind::space) || v->as_bool();
}

// What a for loop walks over.
std::vector<value> items_of(const value &v)
{
    std::vector<value> out;
    switch (kind_of(v)) {
    case kind::undefined: break;
    case kind::list:
    case kind::tuple: return v->as_array();
    case kind::generator: return std::exchange(v->val_arr, {}); // it can be walked once
    case kind::dict:
        for (const auto &p : v->as_ordered_object())
            out.push_back(p.first);
        break;
    case kind::text: {
        std::string s = text_of(v);
        for (size_t at = 0, from = 0; at < s.size(); from = at) {
            step(); // a value for each character
            next_char(s, at);
            out.push_back(like(v, s.substr(from, at - from)));
        }
        break;
    }
    default: refuse(std::string("'") + type_name(v) + "' object is not iterable");
    }
    return out;
}

int64_t n_chars(const std::string &s)
{
    return std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

int64_t length_of(const value &v)
{
    if (is(v, kind::text))
        return n_chars(text_of(v));
    if (is(v, kind::none) || is_number(v) || is(v, kind::generator) || is(v, kind::function) ||
        is(v, kind::space))
        refuse(std::string("object of type '") + type_name(v) + "' has no len()");
    return static_cast<int64_t>(items_of(v).size());
}

// ---- Python's way of writing values ----

std::string number(double v)
{
    if (std::isnan(v))
        return "nan";
    if (std::isinf(v))
        return v < 0 ? "-inf" : "inf";
    char sci[64];
    auto end = std::to_chars(sci, sci + sizeof sci - 1, v, std::chars_format::scientific).ptr;
    *end = 0;
    const char *e = std::strchr(sci, 'e');
    int exponent = std::atoi(e + 1);
    if (exponent >= -4 && exponent < 16) {
        char fixed[64];
        *std::to_chars(fixed, fixed + sizeof fixed - 1, v, std::chars_format::fixed).ptr = 0;
        std::string s = fixed;
        return s.find('.') == std::string::npos ? s + ".0" : s;
    }
    return std::string(sci);
}

// Written by repr() as an escape: the space aside, what Unicode calls a separator, a control, a format character
// or a place without one.
bool is_unprintable(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x00, 0x1f},     {0x7f, 0xa0},     {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
        {0x6dd, 0x6dd},   {0x70f, 0x70f},   {0x180e, 0x180e},   {0x1680, 0x1680},   {0x2000, 0x200f},
        {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},   {0xd800, 0xf8ff},   {0xfeff, 0xfeff},
        {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xf0000, 0x10ffff}};
    for (const auto &r : ranges)
        if (c >= r[0] && c <= r[1])
            return true;
    return false;
}

std::string repr(const std::string &s)
{
    walked(s.size());
    char quote = s.find('\'') != std::string::npos && s.find('"') == std::string::npos ? '"' : '\'';
    std::string out(1, quote);
    for (size_t at = 0; at < s.size();) {
        size_t from = at;
        uint32_t c = next_char(s, at);
        char hex[16];
        if (c == static_cast<unsigned char>(quote) || c == '\\')
            (out += '\\') += static_cast<char>(c);
        else if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (c == '\t')
            out += "\\t";
        else if (!is_unprintable(c))
            out.append(s, from, at - from);
        else {
            snprintf(hex, sizeof hex, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
            out += hex;
        }
    }
    return out + quote;
}

// str(v), or repr(v) of what is inside a list or a dict.
std::string str(const value &v, bool inside = false)
{
    std::string out;
    look();
    switch (kind_of(v)) {
    case kind::undefined: return inside ? "Undefined" : "";
    case kind::none: return "None";
    case kind::real: return number(v->as_float());
    case kind::text: return inside ? repr(text_of(v)) : text_of(v);
    case kind::space: refuse("a namespace or loop has no text");
    case kind::list:
    case kind::tuple:
    case kind::generator: {
        bool tuple = is(v, kind::tuple);
        for (const value &x : v->as_array())
            add(out, (out.empty() ? "" : ", ") + str(x, true));
        return (tuple ? "(" : "[") + out + (tuple && v->as_array().size() == 1 ? ",)" : tuple ? ")" : "]");
    }
    case kind::dict:
        for (const auto &p : v->as_ordered_object())
            add(out, (out.empty() ? "" : ", ") + str(p.first, true) + ": " + str(p.second, true));
        return "{" + out + "}";
    case kind::function: return v->as_repr();
    default: return text_of(v);
    }
}

struct json_style {
    bool ascii = false, sorted = false;
    bool lines = false; // one value a line
    std::string indent, item = ", ", key = ": ";
};

void json_string_of(std::string &out, const std::string &s, bool ascii)
{
    char hex[16];
    walked(s.size());
    out += '"';
    for (size_t at = 0; at < s.size();) {
        size_t from = at;
        uint32_t c = next_char(s, at);
        switch (c) {
        case '"': out += "\\\""; continue;
        case '\\': out += "\\\\"; continue;
        case '\n': out += "\\n"; continue;
        case '\r': out += "\\r"; continue;
        case '\t': out += "\\t"; continue;
        case '\b': out += "\\b"; continue;
        case '\f': out += "\\f"; continue;
        default: break;
        }
        if (c >= 0x20 && (!ascii || c < 0x7f)) {
            out.append(s, from, at - from);
        } else if (c < 0x10000) {
            snprintf(hex, sizeof hex, "\\u%04x", c);
            out += hex;
        } else {
            snprintf(hex, sizeof hex, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + ((c - 0x10000) & 0x3ff));
            out += hex;
        }
    }
    out += '"';
}

void json_line(std::string &out, const json_style &style, unsigned depth)
{
    if (!style.lines)
        return;
    out += '\n';
    for (unsigned i = 0; i < depth; i++)
        out += style.indent;
}

// json.dumps(v): the default separators of Python, floats by repr.
void json_of(std::string &out, const value &v, const json_style &style, unsigned depth)
{
    look();
    if (out.size() > max_text || depth > max_depth)
        refuse("tojson: more than 64 MiB, or more than 200 deep");
    switch (kind_of(v)) {
    case kind::none: out += "null"; break;
    case kind::boolean: out += v->as_bool() ? "true" : "false"; break;
    case kind::integer: out += text_of(v); break;
    case kind::real: {
        double x = v->as_float();
        out += std::isnan(x) ? "NaN" : std::isinf(x) ? (x < 0 ? "-Infinity" : "Infinity") : number(x);
        break;
    }
    case kind::text: json_string_of(out, text_of(v), style.ascii); break;
    case kind::list:
    case kind::tuple: {
        const auto &all = v->as_array();
        out += '[';
        for (size_t i = 0; i < all.size(); i++) {
            if (i)
                out += style.item;
            json_line(out, style, depth + 1);
            json_of(out, all[i], style, depth + 1);
        }
        if (!all.empty())
            json_line(out, style, depth);
        out += ']';
        break;
    }
    case kind::dict: {
        auto pairs = v->as_ordered_object();
        if (style.sorted)
            std::sort(pairs.begin(), pairs.end(),
                      [](const auto &a, const auto &b) { return text_of(a.first) < text_of(b.first); });
        out += '{';
        for (size_t i = 0; i < pairs.size(); i++) {
            if (i)
                out += style.item;
            json_line(out, style, depth + 1);
            std::string key;
            if (!is(pairs[i].first, kind::text))
                json_of(key, pairs[i].first, style, depth + 1);
            json_string_of(out, is(pairs[i].first, kind::text) ? text_of(pairs[i].first) : key, style.ascii);
            out += style.key;
            json_of(out, pairs[i].second, style, depth + 1);
        }
        if (!pairs.empty())
            json_line(out, style, depth);
        out += '}';
        break;
    }
    default: refuse(std::string("Object of type ") + type_name(v) + " is not JSON serializable");
    }
}

// ---- operators ----

bool equal(const value &a, const value &b)
{
    std::string room, more;
    look();
    kind k = kind_of(a);
    if (is_number(a) && is_number(b))
        return is_whole(a) && is_whole(b) ? a->as_int() == b->as_int() : real_of(a) == real_of(b);
    if (k != kind_of(b))
        return false;
    if (k == kind::text)
        return text_in(a, room) == text_in(b, more);
    if (k == kind::list || k == kind::tuple) {
        const auto &x = a->as_array(), &y = b->as_array();
        return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), equal);
    }
    if (k == kind::dict) {
        const auto &x = a->as_ordered_object(), &y = b->as_ordered_object();
        value none;
        return x.size() == y.size() && std::all_of(x.begin(), x.end(), [&](const auto &p) {
                   const value &other = std::const_pointer_cast<jinja::value_t>(b)->at(p.first, none);
                   return other && equal(p.second, other);
               });
    }
    return k == kind::undefined || k == kind::none || a == b;
}

// -1, 0, 1
int compared(const value &a, const value &b, const char *sign)
{
    std::string room, more;
    auto order = [](const auto &x, const auto &y) { return x < y ? -1 : y < x ? 1 : 0; };
    for (const value *v : {&a, &b})
        if (is(*v, kind::undefined))
            refuse_undefined(*v);
    if (is_whole(a) && is_whole(b))
        return order(a->as_int(), b->as_int());
    if (is_number(a) && is_number(b))
        return order(real_of(a), real_of(b));
    if (is(a, kind::text) && is(b, kind::text))
        return order(text_in(a, room), text_in(b, more));
    if (kind_of(a) == kind_of(b) && (is(a, kind::list) || is(a, kind::tuple))) {
        const auto &x = a->as_array(), &y = b->as_array();
        for (size_t i = 0; i < x.size() && i < y.size(); i++)
            if (!equal(x[i], y[i]))
                return compared(x[i], y[i], sign);
        return order(x.size(), y.size());
    }
    refuse(std::string("'") + sign + "' not supported between instances of '" + type_name(a) + "' and '" +
           type_name(b) + "'");
}
bool less(const value &a, const value &b)
{
    return compared(a, b, "<") < 0;
}

const value *member_of(const value &dict, const value &key)
{
    if (is(key, kind::list) || is(key, kind::dict))
        refuse(std::string("cannot use '") + type_name(key) + "' as a dict key (unhashable type: '" +
               type_name(key) + "')");
    if (is_markup(key))
        return member_of(dict, text(text_of(key)));
    if (is(key, kind::undefined) || is(key, kind::function) || !dict->has_key(key))
        return nullptr;
    return &dict->at(key);
}

bool contains(const value &all, const value &v)
{
    std::string room, more;
    switch (kind_of(all)) {
    case kind::text:
        if (!is(v, kind::text))
            refuse(std::string("'in <string>' requires string as left operand, not ") + type_name(v));
        return place_in(text_in(all, room), text_in(v, more)) != std::string::npos;
    case kind::dict: return member_of(all, v) != nullptr;
    case kind::undefined:
    case kind::list:
    case kind::tuple:
    case kind::generator: {
        auto items = items_of(all);
        return std::any_of(items.begin(), items.end(), [&](const value &x) { return equal(x, v); });
    }
    default: refuse(std::string("argument of type '") + type_name(all) + "' is not a container or iterable");
    }
}

std::string escape_html(const std::string &s)
{
    static const char *const from = "&<>'\"", *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    std::string out;
    walked(s.size());
    for (char c : s)
        if (const char *p = c ? std::strchr(from, c) : nullptr)
            out += to[p - from];
        else
            out += c;
    return out;
}

value added(const value &a, const value &b)
{
    if (is(a, kind::text) && is(b, kind::text)) {
        if (is_markup(a) == is_markup(b))
            return like(a, text_of(a) + text_of(b));
        return safe(is_markup(a) ? text_of(a) + escape_html(text_of(b))
                                 : escape_html(text_of(a)) + text_of(b));
    }
    if (kind_of(a) == kind_of(b) && (is(a, kind::list) || is(a, kind::tuple))) {
        std::vector<value> both = a->as_array();
        look(both.size() + b->as_array().size());
        both.insert(both.end(), b->as_array().begin(), b->as_array().end());
        return is(a, kind::list) ? list(std::move(both)) : tuple(std::move(both));
    }
    if (is(a, kind::text) || is(a, kind::list) || is(a, kind::tuple)) {
        std::string name = is(a, kind::text) ? "str" : type_name(a);
        refuse("can only concatenate " + name + " (not \"" + type_name(b) + "\") to " + name);
    }
    refuse(std::string("unsupported operand type(s) for +: '") + type_name(a) + "' and '" + type_name(b) +
           "'");
}

value repeated(const value &v, int64_t times)
{
    std::string s;
    std::vector<value> all;
    int64_t size = std::max<int64_t>(1, length_of(v));
    if (times > 0 && size > static_cast<int64_t>(max_text) / 8 / times)
        refuse("a text or list that is repeated too often");
    look(static_cast<uint64_t>(std::max<int64_t>(0, times)));
    for (; times > 0; times--)
        if (is(v, kind::text))
            s += text_of(v);
        else
            all.insert(all.end(), v->as_array().begin(), v->as_array().end());
    return is(v, kind::text) ? like(v, s) : is(v, kind::list) ? list(std::move(all)) : tuple(std::move(all));
}

value calculated(const std::string &op, const value &a, const value &b)
{
    if (op == "%" && is(a, kind::text))
        refuse("str % values is not supported here");
    for (const value *v : {&a, &b})
        if (is(*v, kind::undefined))
            refuse_undefined(*v);
    bool numbers = is_number(a) && is_number(b), wholes = is_whole(a) && is_whole(b);
    if (op == "+" && !numbers)
        return added(a, b);
    if (op == "*" && !numbers)
        for (const auto &[v, n] : {std::pair(a, b), std::pair(b, a)})
            if ((is(v, kind::text) || is(v, kind::list) || is(v, kind::tuple)) && is_whole(n))
                return repeated(v, n->as_int());
    if (!numbers)
        refuse("unsupported operand type(s) for " + op + ": '" + type_name(a) + "' and '" + type_name(b) +
               "'");
    int64_t i = a->as_int(), j = b->as_int(), sum = 0;
    double x = real_of(a), y = real_of(b);
    if (op == "+" || op == "-" || op == "*") {
        bool over = op == "+"   ? __builtin_add_overflow(i, j, &sum)
                    : op == "-" ? __builtin_sub_overflow(i, j, &sum)
                                : __builtin_mul_overflow(i, j, &sum);
        if (wholes && over)
            refuse("a whole number of more than 64 bits");
        return wholes ? whole(sum) : real(op == "+" ? x + y : op == "-" ? x - y : x * y);
    }
    if (y == 0)
        refuse("division by zero");
    if (op == "/")
        return real(x / y);
    int64_t rest = wholes && j != -1 ? i % j : 0;
    double part = wholes ? 0 : std::fmod(x, y);
    rest += rest && (rest < 0) != (j < 0) ? j : 0;
    part += part != 0 && (part < 0) != (y < 0) ? y : 0;
    if (op == "%")
        return wholes ? whole(rest) : real(part);
    if (op == "//" && wholes && !(j == -1 && i == INT64_MIN))
        return whole((i - rest) / j);
    if (op == "//" && !wholes)
        return real(std::round((x - part) / y));
    refuse("the operator " + op + " is not supported here");
}

value tojson(const value &v, const func_args &args)
{
    json_style style;
    value indent = args.get_kwarg_or_pos("indent", 1), separators = args.get_kwarg_or_pos("separators", 2);
    style.ascii = args.get_kwarg_or_pos("ensure_ascii", 0)->as_bool();
    style.sorted = args.get_kwarg_or_pos("sort_keys", 3)->as_bool();
    if (is_val<jinja::value_int>(indent)) {
        style.lines = true;
        style.indent = std::string(
            static_cast<size_t>(std::max<int64_t>(0, std::min<int64_t>(indent->as_int(), 64))), ' ');
    } else if (is_val<jinja::value_string>(indent)) {
        style.lines = true;
        style.indent = indent->as_string().str();
    }
    if (style.lines)
        style.item = ",";
    if (is_val<jinja::value_array>(separators) && separators->as_array().size() == 2) {
        style.item = separators->as_array()[0]->as_string().str();
        style.key = separators->as_array()[1]->as_string().str();
    }
    mark(args.ctx, v, true);
    std::string out;
    json_of(out, v, style, 0);
    return text(std::move(out));
}

// ---- texts ----

void add_char(std::string &out, uint32_t c)
{
    auto more = [&](unsigned shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
    if (c < 0x80)
        out += static_cast<char>(c);
    else if (c < 0x800)
        out += static_cast<char>(0xc0 | (c >> 6));
    else if (c < 0x10000)
        out += static_cast<char>(0xe0 | (c >> 12));
    else
        out += static_cast<char>(0xf0 | (c >> 18));
    for (unsigned shift = c < 0x80 ? 0 : c < 0x800 ? 6 : c < 0x10000 ? 12 : 18; shift > 0; shift -= 6)
        more(shift - 6);
}

bool is_space(uint32_t c) // Python has four separators more
{
    return (c >= 0x1c && c <= 0x1f) || unicode_is_space(c);
}

// The character that begins at `at`, which moves behind it, as a text.
std::string char_text(const std::string &s, size_t &at)
{
    size_t from = at;
    next_char(s, at);
    return s.substr(from, at - from);
}
// Where the character before `at` begins.
size_t before(const std::string &s, size_t at)
{
    do
        at--;
    while (at > 0 && (s[at] & 0xc0) == 0x80);
    return at;
}
// Where the n-th character begins; the end of the text if it has fewer.
size_t place_of(const std::string &s, int64_t n)
{
    size_t at = 0;
    for (; n > 0 && at < s.size(); n--)
        next_char(s, at);
    walked(at);
    return std::min(at, s.size());
}

std::string in_case(const std::string &s, bool up)
{
    static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr));
    std::string out;
    walked(s.size());
    for (size_t at = 0, from = 0; at < s.size(); from = at) {
        uint32_t u = next_char(s, at);
        auto w = static_cast<wint_t>(u);
        wint_t to = u >= 0x80 && unicode ? (up ? towupper_l(w, unicode) : towlower_l(w, unicode))
                    : u < 0x80 ? static_cast<wint_t>(up ? std::toupper(s[from]) : std::tolower(s[from]))
                               : w;
        if (u == 0xdf && up)
            out += "SS";
        else if (to == w)
            out.append(s, from, at - from);
        else
            add_char(out, static_cast<uint32_t>(to));
    }
    return out;
}

// The first letter of each word large, the others small; `starts`: what a new word begins behind.
template <typename F> std::string titled(const std::string &s, F starts)
{
    std::string out;
    bool first = true;
    for (size_t at = 0; at < s.size();) {
        std::string c = char_text(s, at);
        look();
        out += in_case(c, first);
        first = starts(c);
    }
    return out;
}

std::string stripped(const std::string &s, const value &chars, bool left, bool right)
{
    if (!is(chars, kind::undefined) && !is(chars, kind::none) && !is(chars, kind::text))
        refuse(std::string("strip arg must be None or str, not ") + type_name(chars));
    std::string set = is(chars, kind::text) ? text_of(chars) : "";
    auto goes = [&](size_t at) { // a character of UTF-8 is found in UTF-8 only where it is one
        look(1 + (set.size() >> 9));
        return is(chars, kind::text) ? set.find(char_text(s, at)) != std::string::npos
                                     : is_space(next_char(s, at));
    };
    size_t from = 0, to = s.size();
    while (left && from < to && goes(from))
        next_char(s, from);
    while (right && to > from && goes(before(s, to)))
        to = before(s, to);
    return s.substr(from, to - from);
}

std::string replaced(const std::string &s, const std::string &old, const std::string &by, int64_t count)
{
    std::string out;
    if (old.empty()) {
        for (size_t at = 0; at < s.size();) {
            look();
            if (count != 0)
                out += by;
            count -= count > 0;
            add(out, char_text(s, at));
        }
        return count != 0 ? out + by : out;
    }
    size_t at = 0;
    for (size_t found; count != 0 && (found = place_in(s, old, at)) != std::string::npos;
         count -= count > 0) {
        look();
        add(out.append(s, at, found - at), by);
        at = found + old.size();
    }
    return out.append(s, at);
}

std::vector<std::string> lines_of(const std::string &s)
{
    std::vector<std::string> out(1);
    bool cr = false;
    walked(s.size());
    for (size_t at = 0, from = 0; at < s.size(); from = at) {
        uint32_t u = next_char(s, at);
        bool ends =
            (u >= 10 && u <= 13) || (u >= 0x1c && u <= 0x1e) || u == 0x85 || u == 0x2028 || u == 0x2029;
        if (ends && !(cr && u == '\n'))
            out.emplace_back();
        else if (!ends)
            out.back().append(s, from, at - from);
        cr = u == '\r';
    }
    if (out.back().empty())
        out.pop_back();
    return out;
}

value split(const value &v, const value &by, int64_t most)
{
    std::string s = text_of(v), sep;
    std::vector<value> out;
    if (is(by, kind::text)) {
        sep = text_of(by);
        if (sep.empty())
            refuse("empty separator");
        size_t from = 0;
        for (size_t at; most != 0 && (at = place_in(s, sep, from)) != std::string::npos; most -= most > 0) {
            step(); // a value for each part
            out.push_back(like(v, s.substr(from, at - from)));
            from = at + sep.size();
        }
        out.push_back(like(v, s.substr(from)));
        return list(std::move(out));
    }
    // at runs of white space, which go at the ends, too
    walked(s.size());
    s = stripped(s, by, true, false);
    for (size_t from = 0; from<s.size(); most -= most> 0) {
        size_t end = from, at = from;
        while (at < s.size() && !is_space(next_char(s, at)))
            end = at;
        step();
        out.push_back(like(v, most == 0 ? s.substr(from) : s.substr(from, end - from)));
        for (from = most == 0 ? s.size() : end, at = from; at < s.size() && is_space(next_char(s, at));)
            from = at;
    }
    return list(std::move(out));
}

// ---- members ----

using self = const value &;

value arg(const func_args &a, size_t at, const char *name)
{
    return a.get_kwarg_or_pos(name, at);
}
bool flag(const func_args &a, size_t at, const char *name)
{
    return is_true(arg(a, at, name));
}
int64_t number_arg(const func_args &a, size_t at, const char *name, int64_t without)
{
    value v = arg(a, at, name);
    if (is(v, kind::undefined) || is(v, kind::none))
        return without;
    if (!is_whole(v))
        refuse(std::string("'") + type_name(v) + "' object cannot be interpreted as an integer");
    return v->as_int();
}
std::string text_arg(const func_args &a, size_t at, const char *name)
{
    value v = arg(a, at, name);
    if (!is(v, kind::text))
        refuse(std::string("the argument must be str, not ") + type_name(v));
    return text_of(v);
}

bool is_cased(self v, bool up)
{
    std::string s = str(v);
    return in_case(s, up) == s && in_case(s, !up) != s;
}

bool has_end(self v, const func_args &a, bool start)
{
    value given = a.get_pos(0);
    std::string s = text_of(v);
    for (self p : is(given, kind::tuple) ? given->as_array() : std::vector<value>{given}) {
        if (!is(p, kind::text))
            refuse(std::string(start ? "startswith" : "endswith") +
                   " first arg must be str or a tuple of str, not " + type_name(p));
        std::string t = text_of(p);
        if (s.size() >= t.size() && !s.compare(start ? 0 : s.size() - t.size(), t.size(), t))
            return true;
    }
    return false;
}

value joined(self v, const func_args &a)
{
    std::string out, by = text_of(v);
    bool first = true;
    for (self x : items_of(a.get_pos(0))) {
        if (!is(x, kind::text))
            refuse(std::string("sequence item: expected str instance, ") + type_name(x) + " found");
        mark(a.ctx, x);
        add(out, (first ? "" : by) + text_of(x));
        first = false;
    }
    return like(v, out);
}

value listed(self v, const std::vector<std::string> &parts)
{
    std::vector<value> out;
    for (const std::string &p : parts) {
        step();
        out.push_back(like(v, p));
    }
    return list(std::move(out));
}

value split_lines(self v, const func_args &a)
{
    if (flag(a, 0, "keepends"))
        refuse("splitlines(keepends=True) is not supported here");
    return listed(v, lines_of(text_of(v)));
}

value found_at(self v, const func_args &a)
{
    std::string s = text_of(v);
    size_t at = place_in(s, text_arg(a, 0, "sub"));
    if (a.count() > 1)
        refuse("find() with bounds is not supported here");
    return whole(at == std::string::npos ? -1 : n_chars(s.substr(0, at)));
}

value count_of(self v, const func_args &a)
{
    std::string s = text_of(v), sub = text_arg(a, 0, "sub");
    int64_t n = sub.empty() ? n_chars(s) + 1 : 0;
    for (size_t at = 0; !sub.empty() && (at = place_in(s, sub, at)) != std::string::npos;
         at += sub.size(), n++)
        look();
    return whole(n);
}

bool is_digits(self v)
{
    return !text_of(v).empty() && text_of(v).find_first_not_of("0123456789") == std::string::npos;
}

value format_braces(self v, const func_args &a)
{
    std::string s = text_of(v), out;
    size_t next = 0;
    walked(s.size());
    for (size_t at = 0; at < s.size(); at++) {
        if ((s[at] == '{' || s[at] == '}') && at + 1 < s.size() && s[at + 1] == s[at]) {
            out += s[at++];
        } else if (s[at] == '{') {
            size_t end = s.find('}', at);
            std::string name = end == std::string::npos ? "." : s.substr(at + 1, end - at - 1);
            bool digits = name.find_first_not_of("0123456789") == std::string::npos && name.size() < 4;
            if (name.find_first_of(".[:!{") != std::string::npos)
                refuse("str.format() with more than names and numbers in braces is not supported here");
            size_t i = name.empty() ? next++
                       : digits     ? static_cast<size_t>(std::atoi(name.c_str()))
                                    : a.count();
            value found = digits ? a.get_pos(i, missing("")) : a.get_kwarg(name, missing(""));
            if (i >= a.count() && is(found, kind::undefined))
                refuse("Replacement index " + name + " out of range for positional args tuple");
            add(out, str(found));
            at = end;
        } else {
            out += s[at];
        }
    }
    return like(v, out);
}

// At white space only without a limit, where right and left are the same.
value rsplit(self v, const func_args &a)
{
    value by = arg(a, 0, "sep");
    int64_t most = number_arg(a, 1, "maxsplit", -1);
    if (most < 0)
        return split(v, by, -1);
    std::string s = text_of(v), sep = text_arg(a, 0, "sep");
    std::vector<value> out;
    for (size_t at; most > 0 && !sep.empty() && (at = last_place_in(s, sep)) != std::string::npos; most--) {
        out.push_back(like(v, s.substr(at + sep.size())));
        s.erase(at);
    }
    out.push_back(like(v, s));
    std::reverse(out.begin(), out.end());
    return list(std::move(out));
}

value dict_list(self v, int part)
{
    std::vector<value> out;
    for (const auto &p : v->as_ordered_object())
        out.push_back(part == 0 ? p.first : part == 1 ? p.second : pair_of(p));
    return list(std::move(out));
}

value dict_get(self v, const func_args &a)
{
    const value *found = member_of(v, a.get_pos(0));
    if (found)
        mark(a.ctx, *found);
    return found ? *found : a.get_pos(1, mk_val<jinja::value_none>());
}

// Methods, by the kind of their object.
using method_run = value (*)(self, const func_args &);
#define RUN(expression)                       \
    [](self v, const func_args &a) -> value { \
        (void)v;                              \
        (void)a;                              \
        return expression;                    \
    }
const struct method {
    kind of;
    const char *name;
    method_run run; // NULL: the engine's
} methods[] = {
    {kind::text, "capitalize", RUN(like(v, titled(text_of(v), [](const std::string &) { return false; })))},
    {kind::text, "count", count_of},
    {kind::text, "endswith", RUN(truth(has_end(v, a, false)))},
    {kind::text, "find", found_at},
    {kind::text, "format", format_braces},
    {kind::text, "isdigit", RUN(truth(is_digits(v)))},
    {kind::text, "join", joined},
    {kind::text, "lower", RUN(like(v, in_case(text_of(v), false)))},
    {kind::text, "lstrip", RUN(like(v, stripped(text_of(v), arg(a, 0, "chars"), true, false)))},
    {kind::text, "replace",
     RUN(like(v, replaced(text_of(v), text_arg(a, 0, "old"), text_arg(a, 1, "new"),
                          number_arg(a, 2, "count", -1))))},
    {kind::text, "rsplit", RUN(rsplit(v, a))},
    {kind::text, "rstrip", RUN(like(v, stripped(text_of(v), arg(a, 0, "chars"), false, true)))},
    {kind::text, "split", RUN(split(v, arg(a, 0, "sep"), number_arg(a, 1, "maxsplit", -1)))},
    {kind::text, "splitlines", split_lines},
    {kind::text, "startswith", RUN(truth(has_end(v, a, true)))},
    {kind::text, "strip", RUN(like(v, stripped(text_of(v), arg(a, 0, "chars"), true, true)))},
    {kind::text, "title",
     RUN(like(
         v, titled(text_of(v), [](const std::string &c) { return in_case(c, true) == in_case(c, false); })))},
    {kind::text, "upper", RUN(like(v, in_case(text_of(v), true)))},
    {kind::dict, "get", dict_get},
    {kind::dict, "items", RUN(dict_list(v, 2))},
    {kind::dict, "keys", RUN(dict_list(v, 0))},
    {kind::dict, "values", RUN(dict_list(v, 1))},
};
const struct {
    kind of;
    const char *names; // with a blank on both sides
} others[] = {{kind::text,
               " casefold center encode expandtabs format_map index isalnum isalpha isascii isdecimal "
               "isidentifier islower isnumeric isprintable isspace istitle isupper ljust maketrans partition "
               "removeprefix removesuffix rfind rindex rjust rpartition swapcase translate zfill "},
              {kind::dict, " copy fromkeys "},
              {kind::list, " copy count index "}},
  changes[] = {
      {kind::list, " append clear pop reverse insert sort extend remove "}, // forbidden by Jinja2's sandbox
      {kind::dict, " clear pop popitem setdefault update "}};

template <typename T> bool is_among(const T &table, kind k, const std::string &name)
{
    for (const auto &row : table)
        if (row.of == k && std::strstr(row.names, (" " + name + " ").c_str()))
            return true;
    return false;
}

// getattr(v, name); NULL if there is none.
value attribute(self v, const std::string &name)
{
    kind k = kind_of(v);
    if (is_among(changes, k, name))
        return missing("access to attribute '" + name + "' of '" + type_name(v) + "' object is unsafe.");
    for (const method &m : methods)
        if (m.of == k && name == m.name)
            return m.run
                       ? mk_val<jinja::value_func>(name, [v, &m](const func_args &a) { return m.run(v, a); })
                       : mk_val<jinja::value_func>(name, v->get_builtins().at(name), v);
    if (is_among(others, k, name))
        return mk_val<jinja::value_func>(
            name, [name](const func_args &) -> value { refuse(name + "() is not supported here"); });
    value none, key = text(name);
    if (k != kind::space)
        return nullptr;
    if (name == "cycle" && v->has_key(text("index0")))
        return mk_val<jinja::value_func>(name, [v](const func_args &a) {
            return a.get_pos(static_cast<size_t>(v->at("index0")->as_int()) % std::max<size_t>(1, a.count()));
        });
    return v->has_key(key) ? v->at(key) : nullptr;
}

// v[key] in Python; NULL if there is none, or v cannot be asked.
value item(self v, self key)
{
    kind k = kind_of(v);
    if (k == kind::dict && !is(key, kind::list) && !is(key, kind::dict)) {
        const value *found = member_of(v, key);
        return found ? *found : nullptr;
    }
    if (!is_whole(key) || (k != kind::text && k != kind::list && k != kind::tuple))
        return nullptr;
    int64_t n = length_of(v), i = key->as_int() + (key->as_int() < 0 ? n : 0);
    if (i < 0 || i >= n)
        return nullptr;
    if (k != kind::text)
        return v->as_array()[static_cast<size_t>(i)];
    std::string s = text_of(v);
    size_t at = place_of(s, i);
    return like(v, char_text(s, at));
}

// obj.name looks for an attribute first, obj[key] for an item; what is not there is undefined, and says so when used.
value get(const context &ctx, self v, self key, bool attribute_first)
{
    if (is(v, kind::undefined))
        refuse_undefined(v);
    value found;
    bool named = is(key, kind::text);
    mark(ctx, v);
    if (attribute_first)
        found = attribute(v, text_of(key));
    if (!found)
        found = item(v, key);
    if (!found && named && !attribute_first)
        found = attribute(v, text_of(key));
    if (found) {
        mark(ctx, found);
        return found;
    }
    std::string type = is(v, kind::none) ? "None" : std::string(type_name(v)) + " object";
    return missing(named ? "'" + type + "' has no attribute '" + text_of(key) + "'"
                         : type + " has no element " + str(key, true));
}

value slice(self v, const value (&bound)[3])
{
    if (is(v, kind::undefined))
        refuse_undefined(v);
    bool chars = is(v, kind::text);
    if (!chars && !is(v, kind::list) && !is(v, kind::tuple))
        refuse(std::string("'") + type_name(v) + "' object cannot be sliced");
    std::vector<value> all, out;
    std::string letters;
    if (chars)
        letters = text_of(v);
    else
        all = v->as_array();
    auto given = [&](int i) { return bound[i] && !is(bound[i], kind::none); };
    for (int i = 0; i < 3; i++)
        if (given(i) && !is_whole(bound[i]))
            refuse("slice indices must be integers or None or have an __index__ method");
    int64_t n = length_of(v);
    int64_t step_by = given(2) ? bound[2]->as_int() : 1;
    if (step_by == 0)
        refuse("slice step cannot be zero");
    int64_t low = step_by < 0 ? -1 : 0, high = step_by < 0 ? n - 1 : n;
    auto place = [&](int i, int64_t without) {
        return given(i) ? std::clamp(bound[i]->as_int() + (bound[i]->as_int() < 0 ? n : 0), low, high)
                        : without;
    };
    int64_t from = place(0, step_by < 0 ? high : low), to = place(1, step_by < 0 ? low : high);
    if (chars && step_by == 1) {
        size_t at = place_of(letters, from), end = from < to ? place_of(letters, to) : at;
        return like(v, letters.substr(at, end - at));
    }
    if (chars)
        all = items_of(v);
    std::string s;
    for (int64_t i = from; step_by > 0 ? i < to : i > to;) {
        if (chars)
            s += text_of(all[static_cast<size_t>(i)]);
        else
            out.push_back(all[static_cast<size_t>(i)]);
        if (__builtin_add_overflow(i, step_by, &i))
            break;
    }
    return chars ? like(v, s) : is(v, kind::list) ? list(std::move(out)) : tuple(std::move(out));
}

// ---- filters ----

value filtered(const std::string &name, self v, const func_args &a);
bool passes(const std::string &test, self v, const func_args &a);

// A member of a member of an item, as "a.b.0" names it.
value attribute_of(const func_args &a, value v, self path, self otherwise)
{
    if (is(path, kind::undefined) || is(path, kind::none))
        return v;
    std::vector<value> parts =
        is(path, kind::text) ? split(path, text("."), -1)->as_array() : std::vector<value>{path};
    for (value key : parts) {
        std::string s = is(key, kind::text) ? text_of(key) : "";
        if (!s.empty() && s.size() < 10 && s.find_first_not_of("0123456789") == std::string::npos)
            key = whole(std::atoi(s.c_str()));
        v = get(a.ctx, v, key, false);
        if (is(v, kind::undefined) && !is(otherwise, kind::undefined))
            v = otherwise;
    }
    return v;
}

value folded(self v, bool case_sensitive)
{
    return is(v, kind::text) && !case_sensitive ? text(in_case(text_of(v), false)) : v;
}

std::vector<value> sorted(std::vector<value> items, const func_args &a, self by, bool case_sensitive,
                          bool reverse)
{
    std::vector<std::pair<value, value>> keyed;
    for (self v : items) {
        std::vector<value> keys;
        for (self one : is(by, kind::text) ? split(by, text(","), -1)->as_array() : std::vector<value>{by})
            keys.push_back(folded(attribute_of(a, v, one, missing("")), case_sensitive));
        keyed.emplace_back(list(std::move(keys)), v);
    }
    if (reverse) // equal ones keep their order
        std::reverse(keyed.begin(), keyed.end());
    std::stable_sort(keyed.begin(), keyed.end(),
                     [](const auto &x, const auto &y) { return less(x.first, y.first); });
    if (reverse)
        std::reverse(keyed.begin(), keyed.end());
    for (size_t i = 0; i < items.size(); i++)
        items[i] = keyed[i].second;
    return items;
}

value generated(std::vector<value> v)
{
    return bounded(std::make_shared<generator>(std::move(v)));
}

// Arguments without the first n.
func_args rest_of(const func_args &a, size_t n)
{
    func_args out(a.ctx);
    for (size_t i = n; i < a.count(); i++)
        out.push_back(a.get_args()[i]);
    return out;
}

value chosen(self v, const func_args &a, bool keep, bool by_attribute)
{
    std::vector<value> out;
    size_t off = by_attribute;
    value path = by_attribute ? a.get_pos(0) : missing("");
    if (is_true(v))
        for (self x : items_of(v)) {
            value y = attribute_of(a, x, path, missing(""));
            if ((a.count() > off ? passes(text_of(a.get_pos(off)), y, rest_of(a, off + 1)) : is_true(y)) ==
                keep)
                out.push_back(x);
        }
    return generated(std::move(out));
}

value mapped(self v, const func_args &a)
{
    std::vector<value> out;
    value path = a.get_kwarg("attribute", missing(""));
    for (self x : is_true(v) ? items_of(v) : std::vector<value>())
        out.push_back(is(path, kind::undefined)
                          ? filtered(text_of(a.get_pos(0)), x, rest_of(a, 1))
                          : attribute_of(a, x, path, a.get_kwarg("default", missing(""))));
    return generated(std::move(out));
}

value join_filter(self v, const func_args &a)
{
    std::string out, by = str(arg(a, 0, "d"));
    bool first = true;
    for (self x : items_of(v)) {
        value y = attribute_of(a, x, arg(a, 1, "attribute"), missing(""));
        mark(a.ctx, y, true);
        add(out, (first ? "" : by) + str(y));
        first = false;
    }
    return text(out);
}

value edge(self v, bool last)
{
    if (last && is(v, kind::generator))
        refuse("'generator' object is not reversible");
    std::vector<value> all = items_of(v);
    if (all.empty())
        return missing(last ? "No last item, sequence was empty." : "No first item, sequence was empty.");
    return last ? all.back() : all.front();
}

value unique(self v, const func_args &a)
{
    std::vector<value> out, seen;
    for (self x : items_of(v)) {
        value key =
            folded(attribute_of(a, x, arg(a, 1, "attribute"), missing("")), flag(a, 0, "case_sensitive"));
        if (std::any_of(seen.begin(), seen.end(), [&](self k) { return equal(k, key); }))
            continue;
        seen.push_back(key);
        out.push_back(x);
    }
    return generated(std::move(out));
}

// What is a number in a text; false if it is none.
bool read_number(self v, double &d)
{
    if (is(v, kind::undefined))
        refuse_undefined(v);
    if (is_number(v)) {
        d = real_of(v);
        return true;
    }
    std::string s = is(v, kind::text) ? stripped(text_of(v), missing(""), true, true) : "";
    char *end;
    d = std::strtod(s.c_str(), &end);
    return !s.empty() && !*end && s.find_first_of("xXpP(") == std::string::npos;
}

value to_int(self v, const func_args &a)
{
    value otherwise = arg(a, 0, "default");
    int64_t base = number_arg(a, 1, "base", 10);
    double d;
    if (is_whole(v))
        return whole(v->as_int());
    if (is(v, kind::text) && base >= 2 && base <= 36) {
        std::string s = stripped(text_of(v), missing(""), true, true);
        char *end;
        errno = 0;
        long long i = std::strtoll(s.c_str(), &end, static_cast<int>(base));
        if (errno == ERANGE)
            refuse("a whole number of more than 64 bits");
        if (!s.empty() && !*end && end == s.c_str() + s.size())
            return whole(i);
    }
    if (read_number(v, d) && std::fabs(d) < 0x1p63)
        return whole(static_cast<int64_t>(d));
    return is(otherwise, kind::undefined) ? whole(0) : otherwise;
}

value to_float(self v, const func_args &a)
{
    value otherwise = arg(a, 0, "default");
    double d;
    return read_number(v, d) ? real(d) : is(otherwise, kind::undefined) ? real(0) : otherwise;
}

value indented(self v, const func_args &a)
{
    value width = arg(a, 0, "width");
    bool first = flag(a, 1, "first"), blank = flag(a, 2, "blank");
    if (!is(v, kind::text))
        refuse(std::string("unsupported operand type(s) for +=: '") + type_name(v) + "' and 'str'");
    std::string by = is(width, kind::text) ? text_of(width) : "", out;
    if (!is(width, kind::text))
        by.assign(static_cast<size_t>(std::clamp<int64_t>(number_arg(a, 0, "width", 4), 0, 1000)), ' ');
    std::vector<std::string> lines = lines_of(text_of(v) + "\n");
    for (size_t i = 0; i < lines.size(); i++)
        add(out, (i ? "\n" : "") + ((i ? blank || !lines[i].empty() : first) ? by : "") + lines[i]);
    return like(v, out);
}

value summed(self v, const func_args &a)
{
    value start = arg(a, 1, "start"), total = is(start, kind::undefined) ? whole(0) : start;
    for (self x : items_of(v))
        total = calculated("+", total, attribute_of(a, x, arg(a, 0, "attribute"), missing("")));
    return total;
}

value item_pairs(self v)
{
    if (!is(v, kind::undefined) && !is(v, kind::dict))
        refuse("Can only get item pairs from a mapping.");
    return generated(is(v, kind::undefined) ? std::vector<value>() : dict_list(v, 2)->as_array());
}

value sorted_pairs(self v, const func_args &a)
{
    value by = arg(a, 1, "by");
    if (is(v, kind::undefined))
        refuse_undefined(v);
    if (!is(v, kind::dict))
        refuse(std::string("'") + type_name(v) + "' object has no attribute 'items'");
    return list(sorted(dict_list(v, 2)->as_array(), a, whole(is(by, kind::text) && text_of(by) == "value"),
                       flag(a, 0, "case_sensitive"), flag(a, 2, "reverse")));
}

value reversed(self v)
{
    if (is(v, kind::text)) {
        std::string s = text_of(v), out;
        walked(s.size());
        for (size_t end = s.size(); end > 0; end = before(s, end))
            out.append(s, before(s, end), end - before(s, end));
        return like(v, out);
    }
    std::vector<value> all = items_of(v);
    std::reverse(all.begin(), all.end());
    return generated(std::move(all));
}

value escaped(self v, const func_args &)
{
    return is_markup(v) ? v : safe(escape_html(str(v)));
}

value default_of(self v, const func_args &a)
{
    if (!is(v, kind::undefined) && !(flag(a, 1, "boolean") && !is_true(v)))
        return v;
    return a.count() && !is_val<jinja::value_kwarg>(a.get_pos(0)) ? a.get_pos(0)
                                                                  : a.get_kwarg("default_value", text(""));
}

// soft_str(v)
value soft(self v)
{
    return is(v, kind::text) ? v : text(str(v));
}
bool starts_word(const std::string &c)
{
    size_t at = 0;
    return is_space(next_char(c, at)) || std::strchr("-({[<", c[0]);
}

const struct {
    const char *name;
    method_run run;
} filters[] = {
    {"capitalize", RUN(like(soft(v), titled(str(v), [](const std::string &) { return false; })))},
    {"count", RUN(whole(length_of(v)))},
    {"d", default_of},
    {"default", default_of},
    {"dictsort", sorted_pairs},
    {"e", escaped},
    {"escape", escaped},
    {"first", RUN(edge(v, false))},
    {"float", to_float},
    {"indent", indented},
    {"int", to_int},
    {"items", RUN(item_pairs(v))},
    {"join", join_filter},
    {"last", RUN(edge(v, true))},
    {"length", RUN(whole(length_of(v)))},
    {"list", RUN(list(items_of(v)))},
    {"lower", RUN(like(soft(v), in_case(str(v), false)))},
    {"map", mapped},
    {"reject", RUN(chosen(v, a, false, false))},
    {"rejectattr", RUN(chosen(v, a, false, true))},
    {"replace", RUN(text(replaced(str(v), str(arg(a, 0, "old")), str(arg(a, 1, "new")),
                                  number_arg(a, 2, "count", -1))))},
    {"reverse", RUN(reversed(v))},
    {"safe", RUN(safe(str(v)))},
    {"select", RUN(chosen(v, a, true, false))},
    {"selectattr", RUN(chosen(v, a, true, true))},
    {"sort", RUN(list(sorted(items_of(v), a, arg(a, 2, "attribute"), flag(a, 1, "case_sensitive"),
                             flag(a, 0, "reverse"))))},
    {"string", RUN(soft(v))},
    {"sum", summed},
    {"title", RUN(like(soft(v), titled(str(v), starts_word)))},
    {"tojson", tojson},
    {"trim", RUN(like(soft(v), stripped(str(v), arg(a, 0, "chars"), true, true)))},
    {"unique", unique},
    {"upper", RUN(like(soft(v), in_case(str(v), true)))},
};
#undef RUN

value filtered(const std::string &name, self v, const func_args &a)
{
    for (const auto &f : filters)
        if (name == f.name) {
            mark(a.ctx, v, name == "string");
            return f.run(v, a);
        }
    const auto &engine = v->get_builtins();
    auto found = engine.find(name);
    if (found == engine.end() || !std::strstr(" abs max min ", (" " + name + " ").c_str()))
        refuse("No filter named '" + name + "', or it is not supported here");
    func_args all(a.ctx);
    all.push_back(v);
    for (self x : a.get_args())
        all.push_back(x);
    return found->second(all);
}

// ---- tests ----

#define TEST(expression)                     \
    [](self v, const func_args &a) -> bool { \
        (void)v;                             \
        (void)a;                             \
        return expression;                   \
    }
const struct {
    const char *names; // with a blank on both sides
    bool (*holds)(self, const func_args &);
} tests[] = {
    {" boolean ", TEST(is(v, kind::boolean))},
    {" callable ", TEST(is(v, kind::function) || is(v, kind::undefined))},
    {" defined ", TEST(!is(v, kind::undefined))},
    {" divisibleby ", TEST(equal(calculated("%", v, a.get_pos(0)), whole(0)))},
    {" eq equalto == ", TEST(equal(v, a.get_pos(0)))},
    {" escaped ", TEST(is_markup(v))},
    {" even ", TEST(equal(calculated("%", v, whole(2)), whole(0)))},
    {" false ", TEST(is(v, kind::boolean) && !v->as_bool())},
    {" float ", TEST(is(v, kind::real))},
    {" ge >= ", TEST(compared(v, a.get_pos(0), ">=") >= 0)},
    {" gt greaterthan > ", TEST(compared(v, a.get_pos(0), ">") > 0)},
    {" in ", TEST(contains(a.get_pos(0), v))},
    {" integer ", TEST(is(v, kind::integer))},
    {" iterable ",
     TEST(!is(v, kind::none) && !is_number(v) && !is(v, kind::function) && !is(v, kind::space))},
    {" le <= ", TEST(compared(v, a.get_pos(0), "<=") <= 0)},
    {" lower ", TEST(is_cased(v, false))},
    {" lt lessthan < ", TEST(compared(v, a.get_pos(0), "<") < 0)},
    {" mapping ", TEST(is(v, kind::dict))},
    {" ne != ", TEST(!equal(v, a.get_pos(0)))},
    {" none ", TEST(is(v, kind::none))},
    {" number ", TEST(is_number(v))},
    {" odd ", TEST(equal(calculated("%", v, whole(2)), whole(1)))},
    {" sameas ", TEST(v == a.get_pos(0) || (kind_of(v) <= kind::real && kind_of(v) == kind_of(a.get_pos(0)) &&
                                            equal(v, a.get_pos(0))))},
    {" sequence ", TEST(!is(v, kind::none) && !is_number(v) && !is(v, kind::function) &&
                        !is(v, kind::space) && !is(v, kind::generator))},
    {" string ", TEST(is(v, kind::text))},
    {" true ", TEST(is(v, kind::boolean) && v->as_bool())},
    {" undefined ", TEST(is(v, kind::undefined))},
    {" upper ", TEST(is_cased(v, true))},
};
#undef TEST

bool passes(const std::string &test, self v, const func_args &a)
{
    for (const auto &t : tests)
        if (std::strstr(t.names, (" " + test + " ").c_str()))
            return t.holds(v, a);
    refuse("No test named '" + test + "', or it is not supported here");
}

// ---- nodes of ours in the place of the engine's ----

statement_ptr at_place_of(const statement &old, statement_ptr p)
{
    p->pos = old.pos;
    return p;
}

// A name. The engine would look among its own functions, too.
struct name_node : jinja::identifier {
    using identifier::identifier;
    value execute_impl(context &ctx) const override
    {
        value v = ctx.get_val(val);
        if (is(v, kind::undefined) && v->type() == "Undefined (hint: '" + val + "')")
            return missing("'" + val + "' is undefined");
        mark(ctx, v);
        return v;
    }
};

// {{ expression }}
struct print_node : statement {
    statement_ptr inner;
    explicit print_node(statement_ptr &&p) : inner(std::move(p))
    {
    }
    std::string type() const override
    {
        return "Print";
    }
    value execute_impl(context &ctx) const override
    {
        value v = inner->execute(ctx);
        mark(ctx, v, true);
        return text(str(v));
    }
};

struct member_node : jinja::member_expression {
    using member_expression::member_expression;
    value execute_impl(context &ctx) const override
    {
        value v = object->execute(ctx), bound[3];
        if (auto *s = jinja::cast_stmt<jinja::slice_expression>(property)) {
            const statement_ptr *parts[3] = {&s->start_expr, &s->stop_expr, &s->step_expr};
            for (int i = 0; i < 3; i++)
                if (*parts[i])
                    bound[i] = (*parts[i])->execute(ctx);
            return slice(v, bound);
        }
        auto *name = jinja::cast_stmt<jinja::identifier>(property);
        if (name && !computed)
            return get(ctx, v, text(name->val), true);
        return get(ctx, v, property->execute(ctx), false);
    }
};

// Stands at the head of each block.
struct step_node : statement {
    value execute_impl(context &) const override
    {
        step();
        return mk_val<jinja::value_undefined>();
    }
};

func_args arguments(context &ctx, const statements &list)
{
    func_args args(ctx);
    for (const auto &p : list)
        if (auto *all = jinja::cast_stmt<jinja::spread_expression>(p))
            for (self v : items_of(all->argument->execute(ctx)))
                args.push_back(v);
        else
            args.push_back(p->execute(ctx));
    return args;
}

struct call_node : jinja::call_expression {
    using call_expression::call_expression;
    value execute_impl(context &ctx) const override
    {
        one_call call;
        value f = callee->execute(ctx);
        if (is(f, kind::undefined))
            refuse_undefined(f);
        if (!is(f, kind::function))
            refuse(std::string("'") + type_name(f) + "' object is not callable");
        return f->invoke(arguments(ctx, args));
    }
};

bool is_comparison(const std::string &sign)
{
    return std::strchr("<>=!", sign[0]) || sign == "in" || sign == "not in";
}
bool holds(const std::string &sign, self a, self b)
{
    if (sign == "==" || sign == "!=")
        return equal(a, b) == (sign == "==");
    if (sign == "in" || sign == "not in")
        return contains(b, a) == (sign == "in");
    int c = compared(a, b, sign.c_str());
    return c == 0 ? sign.size() == 2 : (c < 0) == (sign[0] == '<');
}

struct binary_node : jinja::binary_expression {
    using binary_expression::binary_expression;
    value execute_impl(context &ctx) const override
    {
        const std::string &o = op.value;
        value a = left->execute(ctx);
        if (o == "and" || o == "or")
            return is_true(a) == (o == "or") ? a : right->execute(ctx);
        value b = right->execute(ctx);
        mark(ctx, a, o == "~");
        mark(ctx, b, o == "~");
        if (o == "~")
            return text(str(a) + str(b));
        if (is_comparison(o))
            return truth(holds(o, a, b));
        return calculated(o, a, b);
    }
};

// Literals of lists, tuples and dicts.
template <typename Node> struct literal_node : Node {
    using Node::Node;
    value execute_impl(context &ctx) const override
    {
        return bounded(Node::execute_impl(ctx));
    }
};

// a < b < c: each two neighbours.
struct chain_node : jinja::expression {
    statements operands;
    std::vector<std::string> signs;
    value execute_impl(context &ctx) const override
    {
        value a = operands[0]->execute(ctx);
        for (size_t i = 0; i < signs.size(); i++) {
            value b = operands[i + 1]->execute(ctx);
            if (!holds(signs[i], a, b))
                return truth(false);
            a = b;
        }
        return truth(true);
    }
};

struct unary_node : jinja::unary_expression {
    using unary_expression::unary_expression;
    value execute_impl(context &ctx) const override
    {
        value v = argument->execute(ctx);
        if (op.value == "not")
            return truth(!is_true(v));
        return calculated(op.value, whole(0), v);
    }
};

// A filter or a test with its arguments.
template <typename Node> struct applied_node : Node {
    using Node::Node;
    static std::string name_of(const statement_ptr &p)
    {
        auto *call = jinja::cast_stmt<jinja::call_expression>(p);
        auto *id = jinja::cast_stmt<jinja::identifier>(call ? call->callee : p);
        return id ? id->val : "";
    }
    static func_args arguments_of(context &ctx, const statement_ptr &p)
    {
        auto *call = jinja::cast_stmt<jinja::call_expression>(p);
        return call ? arguments(ctx, call->args) : func_args(ctx);
    }
};

struct filter_node : applied_node<jinja::filter_expression> {
    using applied_node::applied_node;
    value execute_impl(context &ctx) const override
    {
        value v = operand->execute(ctx);
        return filtered(name_of(filter), v, arguments_of(ctx, filter));
    }
};

struct test_node : applied_node<jinja::test_expression> {
    using applied_node::applied_node;
    value execute_impl(context &ctx) const override
    {
        value v = operand->execute(ctx);
        return truth(passes(name_of(test), v, arguments_of(ctx, test)) != negate);
    }
};

// ---- blocks: what they write, and scopes ----

// A macro sees the names where it is defined, not where it is called, also those that are set after it.
struct home {
    const context *open; // NULL: it has ended
    std::shared_ptr<const context> kept;
};
thread_local const context *top;
thread_local std::vector<std::shared_ptr<home>> homes, open_homes; // all, to be emptied at the end

struct scope_of : context {
    explicit scope_of(const context &outer) : context(outer)
    {
    }
    scope_of(const scope_of &) = delete;
    ~scope_of()
    {
        for (; !open_homes.empty() && open_homes.back()->open == this; open_homes.pop_back()) {
            open_homes.back()->kept = std::make_shared<const context>(*this);
            open_homes.back()->open = nullptr;
        }
    }
};

// What stands before a continue or a break and is written all the same: the engine's signals carry nothing.
thread_local std::string before_signal;

std::string written(const statements &body, context &ctx)
{
    std::string out;
    try {
        for (const auto &p : body) {
            value v = p->execute(ctx);
            if (is(v, kind::text))
                add(out, text_of(v));
        }
    } catch (const jinja::continue_statement::signal &) {
        before_signal.insert(0, out);
        throw;
    } catch (const jinja::break_statement::signal &) {
        before_signal.insert(0, out);
        throw;
    }
    return out;
}

struct if_node : jinja::if_statement {
    using if_statement::if_statement;
    value execute_impl(context &ctx) const override
    {
        return text(written(is_true(test->execute(ctx)) ? body : alternate, ctx));
    }
};

void assign(context &ctx, const statement_ptr &to, self v)
{
    if (auto *id = jinja::cast_stmt<jinja::identifier>(to)) {
        ctx.set_val(id->val, v);
        return;
    }
    if (auto *m = jinja::cast_stmt<jinja::member_expression>(to)) {
        auto *name = jinja::cast_stmt<jinja::identifier>(m->property);
        value object = jinja::is_stmt<jinja::identifier>(m->object) ? m->object->execute(ctx) : missing("");
        if (!name || m->computed || !dynamic_cast<space *>(object.get()))
            refuse("cannot assign attribute on non-namespace object");
        object->insert(text(name->val), v);
        return;
    }
    auto *several = jinja::cast_stmt<jinja::tuple_literal>(to);
    std::vector<value> items = several ? items_of(v) : std::vector<value>();
    if (!several || several->val.size() != items.size())
        refuse(several && several->val.size() < items.size()
                   ? "too many values to unpack (expected " + std::to_string(several->val.size()) + ")"
                   : "not enough values to unpack, got " + std::to_string(items.size()));
    for (size_t i = 0; i < items.size(); i++)
        assign(ctx, several->val[i], items[i]);
}

struct set_node : jinja::set_statement {
    using set_statement::set_statement;
    value execute_impl(context &ctx) const override
    {
        value v;
        if (val) {
            v = val->execute(ctx);
        } else {
            scope_of inside(ctx);
            v = text(written(body, inside));
        }
        assign(ctx, assignee, v);
        return mk_val<jinja::value_undefined>();
    }
};

// Each turn has a scope of its own: what is set in one is not seen in the next.
struct for_node : jinja::for_statement {
    using for_statement::for_statement;
    value execute_impl(context &ctx) const override
    {
        auto *some = jinja::cast_stmt<jinja::select_expression>(iterable);
        value all = (some ? some->lhs : iterable)->execute(ctx);
        mark(ctx, all);
        std::vector<value> items;
        for (self v : items_of(all)) {
            step();
            if (some) {
                scope_of scope(ctx);
                assign(scope, loopvar, v);
                if (!is_true(some->test->execute(scope)))
                    continue;
            }
            items.push_back(v);
        }
        if (items.empty()) {
            scope_of scope(ctx);
            return text(written(default_block, scope));
        }
        std::string out;
        auto n = static_cast<int64_t>(items.size());
        for (int64_t i = 0; i < n; i++) {
            scope_of scope(ctx);
            auto loop = mk_val<jinja::value_object>();
            loop->has_builtins = false;
            auto member = [&](const char *name, value v) { loop->insert(name, v); };
            auto turn = [&](int64_t j, const char *none) {
                return j < 0 || j >= n ? missing(none) : items[static_cast<size_t>(j)];
            };
            member("index", whole(i + 1));
            member("index0", whole(i));
            member("revindex", whole(n - i));
            member("revindex0", whole(n - i - 1));
            member("first", truth(i == 0));
            member("last", truth(i == n - 1));
            member("length", whole(n));
            member("depth", whole(1));
            member("previtem", turn(i - 1, "there is no previous item"));
            member("nextitem", turn(i + 1, "there is no next item"));
            scope.set_val("loop", loop);
            mark(ctx, items[static_cast<size_t>(i)]);
            assign(scope, loopvar, items[static_cast<size_t>(i)]);
            try {
                add(out, written(body, scope));
            } catch (const jinja::continue_statement::signal &) {
                add(out, std::exchange(before_signal, ""));
            } catch (const jinja::break_statement::signal &) {
                add(out, std::exchange(before_signal, ""));
                break;
            }
        }
        return text(std::move(out));
    }
};

value function_of(const std::string &name, const statements &params, const statements &body,
                  const context &ctx)
{
    if (&ctx != top)
        step(2000); // it keeps all names of its place
    auto at = std::make_shared<home>(home{&ctx, nullptr});
    homes.push_back(at);
    open_homes.push_back(at);
    return mk_val<jinja::value_func>(name, [&params, &body, name, at](const func_args &args) -> value {
        scope_of scope(at->open ? *at->open : *at->kept);
        size_t given = 0;
        while (given < args.count() && !is_val<jinja::value_kwarg>(args.get_args()[given]))
            given++;
        if (given > params.size())
            refuse("macro '" + name + "' takes not more than " + std::to_string(params.size()) +
                   " argument(s)");
        std::vector<std::string> names = {"caller"};
        for (size_t i = 0; i < params.size(); i++) {
            auto *with = jinja::cast_stmt<jinja::keyword_argument_expression>(params[i]);
            auto *id = jinja::cast_stmt<jinja::identifier>(with ? with->key : params[i]);
            if (!id)
                refuse("a parameter of macro '" + name + "' has no name");
            names.push_back(id->val);
            value v = i < given ? args.get_args()[i] : args.get_kwarg(id->val, nullptr);
            scope.set_val(id->val, v      ? v
                                   : with ? with->val->execute(scope)
                                          : missing("parameter '" + id->val + "' was not provided"));
        }
        for (size_t i = given; i < args.count(); i++) {
            auto *k = jinja::cast_val<jinja::value_kwarg>(args.get_args()[i]);
            if (!k || std::find(names.begin(), names.end(), k->key) == names.end())
                refuse("macro '" + name + "' takes no keyword argument '" + (k ? k->key : "") + "'");
            if (k->key == "caller")
                scope.set_val("caller", k->val);
        }
        return text(written(body, scope));
    });
}

struct macro_node : jinja::macro_statement {
    using macro_statement::macro_statement;
    value execute_impl(context &ctx) const override
    {
        auto *id = jinja::cast_stmt<jinja::identifier>(name);
        if (!id)
            refuse("a macro has no name");
        ctx.set_val(id->val, function_of(id->val, args, body, ctx));
        return mk_val<jinja::value_undefined>();
    }
};

struct call_block_node : jinja::call_statement {
    using call_statement::call_statement;
    value execute_impl(context &ctx) const override
    {
        one_call block;
        auto *c = jinja::cast_stmt<jinja::call_expression>(call);
        value f = c ? c->callee->execute(ctx) : missing("call without a call");
        if (!is(f, kind::function))
            refuse("what a call block calls is not callable");
        func_args args = arguments(ctx, c->args);
        args.push_back(mk_val<jinja::value_kwarg>("caller", function_of("caller", caller_args, body, ctx)));
        return text(str(f->invoke(args)));
    }
};

struct filter_block_node : applied_node<jinja::filter_statement> {
    using applied_node::applied_node;
    value execute_impl(context &ctx) const override
    {
        scope_of inside(ctx);
        value v = text(written(body, inside));
        return text(str(filtered(name_of(filter), v, arguments_of(ctx, filter))));
    }
};

// {% generation %}, which the engine takes for two statements that do nothing.
struct generation_node : statement {
    statements body;
    value execute_impl(context &ctx) const override
    {
        scope_of inside(ctx);
        return text(written(body, inside));
    }
};

// ---- exchanging them ----

// Brackets around each token of the template that is parsed, by its place: a tree does not show them.
using places = std::unordered_map<size_t, unsigned>;
thread_local places brackets;

places brackets_of(const std::vector<jinja::token> &tokens)
{
    using jinja::token;
    places out;
    unsigned depth = 0;
    for (const token &t : tokens) {
        depth +=
            t.t == token::open_paren || t.t == token::open_square_bracket || t.t == token::open_curly_bracket;
        depth -= depth && (t.t == token::close_paren || t.t == token::close_square_bracket ||
                           t.t == token::close_curly_bracket);
        out[t.pos] = depth;
    }
    return out;
}

// The engine groups operators of one rank from the left. Of the left operand of `b`: whether it stands there
// without brackets, so that Jinja2 may group otherwise.
jinja::binary_expression *open_left(const jinja::binary_expression &b)
{
    auto *left = dynamic_cast<jinja::binary_expression *>(b.left.get());
    return left && brackets[left->pos] == brackets[b.pos] ? left : nullptr;
}

statement_ptr mend(statement_ptr p);

void mend_all(statements &list)
{
    for (auto &p : list)
        p = mend(std::move(p));
}

// The statements of a block: expressions among them are written.
void mend_body(statements &list)
{
    std::vector<statements> outside; // of the generation blocks that are open
    statements out;
    out.push_back(std::make_unique<step_node>());
    for (auto &p : list) {
        if (jinja::is_stmt<jinja::noop_statement>(p)) {
            bool ends = !outside.empty();
            if (!ends) {
                outside.push_back(std::exchange(out, {}));
                continue;
            }
            auto block = std::make_unique<generation_node>();
            block->pos = p->pos;
            block->body = std::exchange(out, std::move(outside.back()));
            outside.pop_back();
            out.push_back(std::move(block));
            continue;
        }
        bool literal = jinja::is_stmt<jinja::string_literal>(p),
             expression = dynamic_cast<jinja::expression *>(p.get());
        size_t pos = p->pos;
        p = mend(std::move(p));
        if (expression && !literal)
            p = std::make_unique<print_node>(std::move(p));
        p->pos = pos;
        out.push_back(std::move(p));
    }
    if (!outside.empty())
        refuse("a generation block without its end");
    list = std::move(out);
}

// The node of ours for a node of the engine's, made of its parts.
statement_ptr mend(statement_ptr p)
{
    statement *s = p.get();
    if (!s)
        return p;
    auto one = [](statement_ptr &child) { child = mend(std::move(child)); };
    auto made = [&](statement_ptr node) { return at_place_of(*s, std::move(node)); };
    if (auto *i = dynamic_cast<jinja::if_statement *>(s)) {
        one(i->test);
        mend_body(i->body);
        mend_body(i->alternate);
        return made(
            std::make_unique<if_node>(std::move(i->test), std::move(i->body), std::move(i->alternate)));
    } else if (auto *f = dynamic_cast<jinja::for_statement *>(s)) {
        one(f->iterable);
        mend_body(f->body);
        mend_body(f->default_block);
        return made(std::make_unique<for_node>(std::move(f->loopvar), std::move(f->iterable),
                                               std::move(f->body), std::move(f->default_block)));
    } else if (auto *set = dynamic_cast<jinja::set_statement *>(s)) {
        one(set->val);
        mend_body(set->body);
        return made(
            std::make_unique<set_node>(std::move(set->assignee), std::move(set->val), std::move(set->body)));
    } else if (auto *m = dynamic_cast<jinja::macro_statement *>(s)) {
        for (auto &a : m->args)
            if (auto *with = jinja::cast_stmt<jinja::keyword_argument_expression>(a))
                one(with->val);
        mend_body(m->body);
        return made(std::make_unique<macro_node>(std::move(m->name), std::move(m->args), std::move(m->body)));
    } else if (auto *c = dynamic_cast<jinja::call_statement *>(s)) {
        one(c->call);
        mend_body(c->body);
        return made(std::make_unique<call_block_node>(std::move(c->call), std::move(c->caller_args),
                                                      std::move(c->body)));
    } else if (auto *fs = dynamic_cast<jinja::filter_statement *>(s)) {
        one(fs->filter);
        mend_body(fs->body);
        return made(std::make_unique<filter_block_node>(std::move(fs->filter), std::move(fs->body)));
    } else if (auto *a = dynamic_cast<jinja::array_literal *>(s)) {
        mend_all(a->val);
        return made(std::make_unique<literal_node<jinja::array_literal>>(std::move(a->val)));
    } else if (auto *t = dynamic_cast<jinja::tuple_literal *>(s)) {
        mend_all(t->val);
        return made(std::make_unique<literal_node<jinja::tuple_literal>>(std::move(t->val)));
    } else if (auto *o = dynamic_cast<jinja::object_literal *>(s)) {
        for (auto &pair : o->val) {
            one(pair.first);
            one(pair.second);
        }
        return made(std::make_unique<literal_node<jinja::object_literal>>(std::move(o->val)));
    } else if (auto *b = dynamic_cast<jinja::binary_expression *>(s)) {
        auto *chain = open_left(*b);
        if (chain && is_comparison(b->op.value) && is_comparison(chain->op.value)) {
            auto all = std::make_unique<chain_node>();
            std::vector<jinja::binary_expression *> from = {b};
            for (; chain && is_comparison(chain->op.value); chain = open_left(*chain))
                from.push_back(chain);
            all->operands.push_back(mend(std::move(from.back()->left)));
            for (size_t k = from.size(); k-- > 0;) {
                all->operands.push_back(mend(std::move(from[k]->right)));
                all->signs.push_back(from[k]->op.value);
            }
            return made(std::move(all));
        }
        one(b->left);
        one(b->right);
        // a + b ~ c is a + (b ~ c)
        auto *sum = open_left(*b);
        if (b->op.value == "~" && sum && (sum->op.value == "+" || sum->op.value == "-")) {
            sum->right =
                made(std::make_unique<binary_node>(b->op, std::move(sum->right), std::move(b->right)));
            return std::move(b->left);
        }
        return made(std::make_unique<binary_node>(b->op, std::move(b->left), std::move(b->right)));
    } else if (auto *call = dynamic_cast<jinja::call_expression *>(s)) {
        one(call->callee);
        mend_all(call->args);
        return made(std::make_unique<call_node>(std::move(call->callee), std::move(call->args)));
    } else if (auto *sel = dynamic_cast<jinja::select_expression *>(s)) {
        one(sel->lhs);
        one(sel->test);
    } else if (auto *te = dynamic_cast<jinja::test_expression *>(s)) {
        one(te->operand);
        one(te->test);
        return made(std::make_unique<test_node>(std::move(te->operand), te->negate, std::move(te->test)));
    } else if (auto *u = dynamic_cast<jinja::unary_expression *>(s)) {
        one(u->argument);
        return made(std::make_unique<unary_node>(u->op, std::move(u->argument)));
    } else if (auto *sl = dynamic_cast<jinja::slice_expression *>(s)) {
        one(sl->start_expr);
        one(sl->stop_expr);
        one(sl->step_expr);
    } else if (auto *kw = dynamic_cast<jinja::keyword_argument_expression *>(s)) {
        one(kw->val);
    } else if (auto *spread = dynamic_cast<jinja::spread_expression *>(s)) {
        one(spread->argument);
    } else if (auto *te2 = dynamic_cast<jinja::ternary_expression *>(s)) {
        one(te2->condition);
        one(te2->true_expr);
        one(te2->false_expr);
    } else if (auto *fe = dynamic_cast<jinja::filter_expression *>(s)) {
        one(fe->operand);
        one(fe->filter);
        return made(std::make_unique<filter_node>(std::move(fe->operand), std::move(fe->filter)));
    } else if (auto *me = dynamic_cast<jinja::member_expression *>(s)) {
        one(me->object);
        if (me->computed)
            one(me->property);
        return made(
            std::make_unique<member_node>(std::move(me->object), std::move(me->property), me->computed));
    } else if (auto *id = dynamic_cast<jinja::identifier *>(s)) {
        return made(std::make_unique<name_node>(id->val));
    }
    return p;
}

// ---- variables ----

value value_of(const json_t *v, unsigned depth)
{
    if (depth > max_depth)
        throw refusal{"the conversation holds values more than 200 deep"};
    switch (json_typeof(v)) {
    case JSON_TRUE: return mk_val<jinja::value_bool>(true);
    case JSON_FALSE: return mk_val<jinja::value_bool>(false);
    case JSON_INTEGER: return whole(static_cast<int64_t>(json_integer_value(v)));
    case JSON_REAL: return real(json_real_value(v));
    case JSON_STRING:
        return mk_val<jinja::value_string>(std::string(json_string_value(v), json_string_length(v)));
    case JSON_ARRAY: {
        auto list = mk_val<jinja::value_array>();
        for (size_t i = 0; i < json_array_size(v); i++)
            list->push_back(value_of(json_array_get(v, i), depth + 1));
        return list;
    }
    case JSON_OBJECT: {
        auto object = mk_val<jinja::value_object>();
        const char *key;
        json_t *member;
        json_object_foreach (const_cast<json_t *>(v), key, member)
            object->insert(key, value_of(member, depth + 1));
        return object;
    }
    case JSON_NULL: break;
    }
    return mk_val<jinja::value_none>();
}

value raise_exception(const func_args &args)
{
    refuse(str(args.get_pos(0)));
}

value namespace_of(const func_args &args)
{
    auto v = std::make_shared<space>();
    spaces.push_back(v);
    for (self x : args.get_args())
        if (auto *k = jinja::cast_val<jinja::value_kwarg>(x))
            v->insert(text(k->key), k->val);
        else
            refuse("namespace() takes keyword arguments");
    return v;
}

value dict_of(const func_args &args)
{
    auto v = mk_val<jinja::value_object>();
    for (self x : args.get_args())
        if (auto *k = jinja::cast_val<jinja::value_kwarg>(x))
            v->insert(text(k->key), k->val);
    return bounded(v);
}

value range(const func_args &args)
{
    int64_t n[3] = {0, 0, 1};
    size_t count = args.count();
    args.ensure_count(1, 3);
    for (size_t i = 0; i < count; i++) {
        if (!is_val<jinja::value_int>(args.get_pos(i)) && !is_val<jinja::value_bool>(args.get_pos(i)))
            throw refusal{"range() takes integers, not " + args.get_pos(i)->type()};
        n[count == 1 ? 1 : i] = args.get_pos(i)->as_int();
    }
    if (!n[2])
        throw refusal{"range() arg 3 must not be zero"};
    auto list = mk_val<jinja::value_array>();
    for (int64_t i = n[0]; n[2] > 0 ? i < n[1] : i > n[1];) {
        if (list->as_array().size() == max_range)
            throw refusal{"Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."};
        step(range_steps);
        list->push_back(whole(i));
        if (__builtin_add_overflow(i, n[2], &i))
            break;
    }
    return list;
}

value strftime_now(const func_args &args)
{
    std::string format = str(args.get_pos(0)), out;
    struct tm local;
    time_t now = args.ctx.current_time;
    if (!localtime_r(&now, &local) || format.size() > 4096)
        throw refusal{"strftime_now: the format or the time cannot be used"};
    format += ' '; // so that an empty result is not taken for a failure
    out.resize(16 * format.size() + 256);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // the template's own, for strftime alone
    out.resize(strftime(&out[0], out.size(), format.c_str(), &local));
#pragma GCC diagnostic pop
    if (out.empty())
        throw refusal{"strftime_now: the format cannot be used"};
    out.pop_back();
    return mk_val<jinja::value_string>(out);
}

// ---- what was not looked at ----

void count_unused(json_t *unused, const std::string &key)
{
    json_t *n = json_object_get(unused, key.c_str());
    json_object_set_new(unused, key.c_str(), json_integer(json_integer_value(n) + 1));
}

void count_members(const json_t *o, const value &object, const std::string &prefix, json_t *unused)
{
    for (const auto &pair : object->as_ordered_object()) {
        std::string key = pair.first->as_string().str();
        if (!pair.second->stats.used && key != "type" &&
            chat_holds_text(key.c_str(), json_object_get(o, key.c_str())))
            count_unused(unused, prefix + key);
    }
}

// Of a message; where its content is a list, of the parts, too.
void count_message(const json_t *o, const value &message, json_t *unused)
{
    if (!json_is_object(o))
        return;
    count_members(o, message, "messages.", unused);
    const json_t *parts = json_object_get(o, "content"), *part;
    value none, content = message->at("content", none);
    for (size_t i = 0; content && content->stats.used && i < json_array_size(parts); i++)
        if (json_is_object(part = json_array_get(parts, i)))
            count_members(part, content->as_array()[i], "messages.content.", unused);
}

// ---- one line for an error ----

// The interpreter's messages are drawings of several lines: "While executing .. at line 3, column 5 in source:
// .. Error: WHAT".
std::string one_line(std::string s)
{
    std::string where;
    size_t at = s.find(" at line "), what = s.rfind("\nError: ");
    if (what != std::string::npos) {
        size_t end = s.find(" in source:", at);
        if (at != std::string::npos && end != std::string::npos)
            where = s.substr(at + 4, end - at - 4) + ": ";
        s = s.substr(what + 8);
    }
    size_t nl = s.find('\n', s.find_first_not_of('\n'));
    s = where + s.substr(s.find_first_not_of('\n') == std::string::npos ? 0 : s.find_first_not_of('\n'),
                         nl == std::string::npos ? std::string::npos : nl);
    return s;
}

bool fail(struct err *e, const char *what, std::string words)
{
    for (char &c : words)
        if (static_cast<unsigned char>(c) < 0x20)
            c = ' ';
    return err_set(e, ERR_INPUT, "%s: %.700s", what, words.c_str());
}

// ---- what the lexer and the parser do not take, in their words ----

// The text of a template: line ends, escapes in strings that the lexer does not know, and its first line, of which
// the lexer loses a letter or a line end before a tag.
std::string prepared(const std::string &text)
{
    std::string in = replaced(replaced(text, "\r\n", "\n", -1), "\r", "\n", -1), out;
    size_t first = in.find_first_not_of(" \t");
    if (first != std::string::npos && (!in.compare(first, 2, "{%") || !in.compare(first, 2, "{#")))
        in.erase(0, first); // blanks before a block that stands first in its line go
    else if (in.compare(0, 2, "{{"))
        out = "{{''}}";
    bool tag = false;
    char quote = 0;
    for (size_t at = 0; at < in.size(); at++) {
        std::string two = in.substr(at, 2);
        if (!tag && two == "{#") {
            size_t end = std::min(in.find("#}", at + 2), in.size());
            out.append(in, at, end - at);
            at = end;
        }
        if (at == in.size())
            break;
        two = in.substr(at, 2);
        if (!quote && (two == "{{" || two == "{%" || two == "}}" || two == "%}"))
            tag = two[0] == '{';
        if (tag && !quote && (in[at] == '\'' || in[at] == '"')) {
            quote = in[at];
        } else if (quote && in[at] == quote) {
            quote = 0;
        } else if (quote && in[at] == '\\' && at + 1 < in.size()) {
            char c = in[at + 1];
            size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
            std::string hex = in.substr(at + 2, digits);
            bool code = digits && hex.size() == digits &&
                        hex.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
            std::string character;
            if (code)
                add_char(character, static_cast<uint32_t>(std::stoul(hex, nullptr, 16)));
            if (code && !std::strchr("\\'\"", character[0]))
                out += character;
            else
                out += std::strchr("ntrbfv\\'\"", c) ? in.substr(at, 2) : "\\\\" + in.substr(at + 1, 1);
            at += code ? 1 + digits : 1;
            continue;
        }
        out += in[at];
    }
    return out;
}

// Tokens: a minus behind a word like else, which the lexer takes for an operator; a // b; x is eq 3.
std::vector<jinja::token> mended(const std::vector<jinja::token> &in)
{
    using jinja::token;
    auto word = [](const token &t, const char *words) {
        return t.t == token::identifier && std::strstr(words, (" " + t.value + " ").c_str());
    };
    std::vector<token> out;
    std::vector<size_t> closing; // before which a bracket is closed
    for (size_t i = 0; i < in.size(); i++) {
        token t = in[i];
        for (; !closing.empty() && closing.back() == i; closing.pop_back())
            out.push_back({token::close_paren, ")", t.pos});
        // 1e5 comes as a number and a name
        bool beside = !out.empty() && out.back().t == token::numeric_literal && t.t == token::identifier &&
                      out.back().pos + out.back().value.size() == t.pos;
        if (beside && (t.value[0] == 'e' || t.value[0] == 'E') && t.value.size() > 1 &&
            t.value.find_first_not_of("0123456789", 1) == std::string::npos) {
            out.back().value += (out.back().value.find('.') == std::string::npos ? ".0" : "") + t.value;
            continue;
        }
        if (t.value == "/" && !out.empty() && out.back().value == "/" && out.back().pos + 1 == t.pos &&
            out.back().t == t.t) {
            out.back().value = "//";
            continue;
        }
        if (t.t == token::additive_binary_operator && t.value != "~" && !out.empty() &&
            word(out.back(), " if elif else and or not in is "))
            t.t = token::unary_operator;
        out.push_back(t);
        size_t n = out.size();
        bool test =
            n > 1 && t.t == token::identifier && !word(t, " not ") &&
            (word(out[n - 2], " is ") || (n > 2 && word(out[n - 2], " not ") && word(out[n - 3], " is ")));
        size_t end = i + 1;
        if (!test || end == in.size() || word(in[end], " else or and if is in not "))
            continue;
        if (in[end].t == token::open_square_bracket) {
            for (unsigned depth = 0; end < in.size() && (end == i + 1 || depth); end++)
                depth +=
                    (in[end].t == token::open_square_bracket) - (in[end].t == token::close_square_bracket);
        } else if (in[end].t == token::string_literal || in[end].t == token::numeric_literal ||
                   in[end].t == token::identifier) {
            end++;
            while (end + 1 < in.size() && in[end].t == token::dot)
                end += 2;
        }
        if (end == i + 1)
            continue;
        out.push_back({token::open_paren, "(", t.pos});
        closing.push_back(end);
    }
    return out;
}

// {% set x %} .. {% endset %}, not {% set x = y %}.
bool is_block_set(const std::vector<jinja::token> &tokens, size_t i)
{
    for (; i < tokens.size() && tokens[i].t != jinja::token::close_statement; i++)
        if (tokens[i].t == jinja::token::equals)
            return false;
    return true;
}

// So that a hostile template cannot recurse without end while it is parsed, walked, run or freed: what real ones
// have is below a sixth of this.
bool check_shape(const std::vector<jinja::token> &tokens)
{
    using jinja::token;
    size_t in_expression = 0;
    std::vector<unsigned> open; // blocks; each counts its elifs, which are nested, too
    unsigned depth = 0;
    for (size_t i = 0; i < tokens.size(); i++) {
        const token &t = tokens[i];
        bool ends = t.t == token::text || t.t == token::close_statement || t.t == token::close_expression;
        in_expression = ends ? 0 : in_expression + 1;
        if (t.t == token::open_statement && i + 1 < tokens.size()) {
            const std::string &name = tokens[i + 1].value;
            if (name == "elif" && !open.empty()) {
                open.back()++;
                depth++;
            } else if (!name.compare(0, 3, "end") && !open.empty()) {
                depth -= open.back();
                open.pop_back();
            } else if (name == "if" || name == "for" || name == "macro" || name == "call" ||
                       name == "filter" || (name == "set" && is_block_set(tokens, i))) {
                open.push_back(1);
                depth++;
            }
        }
        if (in_expression > 400 || depth > 64)
            return false;
    }
    return true;
}

} // namespace

struct chat_template {
    jinja::program program;
    std::string source;
};

struct chat_template *chat_template_parse(const char *text, size_t n, struct err *e)
{
    if (n > max_template) {
        fail(e, "the chat template", "is larger than 1 MiB");
        return nullptr;
    }
    try {
        auto t = std::make_unique<chat_template>();
        jinja::lexer lexer;
        auto tokens = lexer.tokenize(prepared(std::string(text, n)));
        tokens.tokens = mended(tokens.tokens);
        if (!check_shape(tokens.tokens)) {
            fail(e, "the chat template",
                 "has an expression of more than 400 parts, or blocks nested more than 64 deep");
            return nullptr;
        }
        t->source = tokens.source;
        t->program = jinja::parse_from_tokens(tokens);
        brackets = brackets_of(tokens.tokens);
        mend_body(t->program.body);
        brackets.clear();
        return t.release();
    } catch (const refusal &r) {
        fail(e, "the chat template is not valid", r.words);
    } catch (const std::exception &x) {
        fail(e, "the chat template is not valid", one_line(x.what()));
    }
    return nullptr;
}

void chat_template_free(struct chat_template *t)
{
    delete t;
}

bool chat_template_asks_time(const struct chat_template *t)
{
    return t->source.find("strftime_now") != std::string::npos;
}

bool chat_template_render(const struct chat_template *t, const json_t *vars, int64_t now, struct buf *out,
                          json_t *unused, struct err *e)
{
    spent = {};
    uint64_t n_messages = json_array_size(json_object_get(vars, "messages"));
    spent.max_steps += message_steps * std::min(n_messages, max_messages);
    spent.stack = static_cast<const char *>(__builtin_frame_address(0));
    struct emptied {
        ~emptied()
        {
            for (auto &s : spaces) {
                s->val_obj.clear();
                s->unordered.clear();
            }
            spaces.clear();
            before_signal.clear();
            for (auto &p : homes)
                p->kept.reset();
            homes.clear();
            open_homes.clear();
        }
    } at_end;
    try {
        context ctx(t->source);
        ctx.current_time = static_cast<std::time_t>(now);
        ctx.is_get_stats = unused != nullptr;
        value root = value_of(vars, 0);
        static const struct {
            const char *name;
            value (*run)(const func_args &);
        } functions[] = {{"raise_exception", raise_exception},
                         {"range", range},
                         {"strftime_now", strftime_now},
                         {"namespace", namespace_of},
                         {"dict", dict_of}};
        for (const auto &f : functions)
            ctx.set_val(f.name, mk_val<jinja::value_func>(f.name, f.run));
        for (const auto &pair : root->as_ordered_object())
            ctx.set_val(pair.first, pair.second);
        top = &ctx;
        std::string text = written(t->program.body, ctx);
        if (unused) {
            const json_t *list = json_object_get(vars, "messages");
            value dummy = mk_val<jinja::value_none>(), messages = root->at("messages", dummy);
            count_members(vars, root, "", unused);
            for (size_t i = 0; i < json_array_size(list); i++)
                count_message(json_array_get(list, i), messages->as_array()[i], unused);
        }
        buf_add(out, text.data(), text.size());
        return true;
    } catch (const interruption &) {
        return sig_check(e);
    } catch (const refusal &r) {
        return fail(e, "the chat template refuses the conversation", r.words);
    } catch (const std::exception &x) {
        return fail(e, "the chat template cannot be run on the conversation", one_line(x.what()));
    }
}

#else

struct chat_template *chat_template_parse(const char *, size_t, struct err *e)
{
    err_set(
        e, ERR_FAILED,
        "this build cannot render chat templates: the engine's sources could not be had when it was made");
    return nullptr;
}

void chat_template_free(struct chat_template *)
{
}

bool chat_template_asks_time(const struct chat_template *)
{
    return false;
}

bool chat_template_render(const struct chat_template *, const json_t *, int64_t, struct buf *, json_t *,
                          struct err *)
{
    return false;
}

#endif
