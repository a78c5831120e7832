// chat.cpp - see chat.h. The one file of C++ here: the engine's Jinja interpreter is C++.
//
// That interpreter is more lenient than Jinja2 and differs in places. What matters for chat templates is mended
// here, without touching its sources: a parsed template is a tree whose nodes are classes with a virtual
// execute_impl, and some nodes are exchanged for ours, which look first and then let the engine's do the rest.
// Mended so far, and why:
//   - {{ none }} writes "None", {{ [..] }} and {{ {..} }} write as Python does (print_node)
//   - tojson writes what json.dumps writes (filter_node)
//   - a member of an undefined value is an error, not undefined (member_node)
//   - range() ends at 100,000 as in Jinja2's sandbox; strftime_now takes the time from the caller

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

extern "C" {
#include "base/sig.h"
#include "engine/chat.h"
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

#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <memory>
#include <string>
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

std::string str(const value &v, bool inside = false);

std::string str_list(const value &v)
{
    bool tuple = is_val<jinja::value_tuple>(v);
    std::string out = tuple ? "(" : "[";
    const auto &list = v->as_array();
    for (size_t i = 0; i < list.size(); i++)
        (out += i ? ", " : "") += str(list[i], true);
    return out + (tuple ? (list.size() == 1 ? ",)" : ")") : "]");
}

// str(v), or repr(v) of what is inside a list or a dict.
std::string str(const value &v, bool inside)
{
    if (v->is_undefined())
        return inside ? "Undefined" : "";
    if (v->is_none())
        return "None";
    if (is_val<jinja::value_string>(v))
        return inside ? repr(v->as_string().str()) : v->as_string().str();
    if (is_val<jinja::value_float>(v))
        return number(v->as_float());
    if (is_val<jinja::value_array>(v))
        return str_list(v);
    if (is_val<jinja::value_object>(v)) {
        std::string out = "{";
        for (const auto &pair : v->as_ordered_object()) {
            if (out.size() > 1)
                out += ", ";
            (out += str(pair.first, true)) += ": ";
            out += str(pair.second, true);
        }
        return out + "}";
    }
    if (is_val<jinja::value_func>(v))
        return v->as_repr();
    return v->as_string().str();
}

struct json_style {
    bool ascii = false, sorted = false;
    bool lines = false; // one value a line
    std::string indent, item = ", ", key = ": ";
};

void json_string_of(std::string &out, const std::string &s, bool ascii)
{
    char hex[16];
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
    if (depth > max_depth)
        throw refusal{"tojson: the value is too deep"};
    if (v->is_undefined())
        throw refusal{"Object of type Undefined is not JSON serializable"};
    if (v->is_none()) {
        out += "null";
    } else if (is_val<jinja::value_bool>(v)) {
        out += v->as_bool() ? "true" : "false";
    } else if (is_val<jinja::value_string>(v)) {
        json_string_of(out, v->as_string().str(), style.ascii);
    } else if (is_val<jinja::value_float>(v)) {
        double x = v->as_float();
        out += std::isnan(x) ? "NaN" : std::isinf(x) ? (x < 0 ? "-Infinity" : "Infinity") : number(x);
    } else if (is_val<jinja::value_array>(v)) {
        const auto &list = v->as_array();
        out += '[';
        for (size_t i = 0; i < list.size(); i++) {
            if (i)
                out += style.item;
            json_line(out, style, depth + 1);
            json_of(out, list[i], style, depth + 1);
        }
        if (!list.empty())
            json_line(out, style, depth);
        out += ']';
    } else if (is_val<jinja::value_object>(v)) {
        auto pairs = v->as_ordered_object();
        if (style.sorted)
            std::sort(pairs.begin(), pairs.end(), [](const auto &a, const auto &b) {
                return a.first->as_string().str() < b.first->as_string().str();
            });
        out += '{';
        for (size_t i = 0; i < pairs.size(); i++) {
            if (i)
                out += style.item;
            json_line(out, style, depth + 1);
            json_string_of(out, pairs[i].first->as_string().str(), style.ascii);
            out += style.key;
            json_of(out, pairs[i].second, style, depth + 1);
        }
        if (!pairs.empty())
            json_line(out, style, depth);
        out += '}';
    } else if (is_val<jinja::value_func>(v)) {
        throw refusal{"Object of type function is not JSON serializable"};
    } else {
        out += v->as_string().str();
    }
}

value tojson(const func_args &args)
{
    json_style style;
    value indent = args.get_kwarg_or_pos("indent", 2), separators = args.get_kwarg_or_pos("separators", 3);
    style.ascii = args.get_kwarg_or_pos("ensure_ascii", 1)->as_bool();
    style.sorted = args.get_kwarg_or_pos("sort_keys", 4)->as_bool();
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
    value input = args.get_pos(0);
    if (args.ctx.is_get_stats)
        jinja::value_t::stats_t::mark_used(input, true);
    std::string out;
    json_of(out, input, style, 0);
    return mk_val<jinja::value_string>(out);
}

// ---- bounds of a run ----

// What one rendering may take: a template that never ends, or calls itself without end, is refused. Of one thread.
struct budget {
    uint64_t steps = 0;
    unsigned calls = 0;
};
thread_local budget spent;
constexpr uint64_t max_steps = 1000000;
constexpr uint64_t range_steps = 10; // of a number of a range(): each makes a scope when it is walked
constexpr size_t max_text = 64u << 20;
constexpr unsigned max_calls = 60;

struct interruption {
};

void step(uint64_t n = 1)
{
    spent.steps += n;
    if (spent.steps > max_steps)
        throw refusal{"it takes more than 1,000,000 steps"};
    if (!(spent.steps & 255) && sig_pending())
        throw interruption{};
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

// ---- nodes of ours in the place of the engine's ----

// A node that was computed already: a node of ours looks at a part of itself, and the engine's code, which runs
// then, gets the same value again instead of computing it a second time.
struct once_node : jinja::expression {
    statement_ptr inner;
    mutable value kept;
    explicit once_node(statement_ptr &&p) : inner(std::move(p))
    {
        pos = inner->pos;
    }
    std::string type() const override
    {
        return inner->type();
    }
    value look(context &ctx) const
    {
        return kept = inner->execute(ctx);
    }
    value execute_impl(context &ctx) const override
    {
        return kept ? std::exchange(kept, nullptr) : inner->execute(ctx);
    }
};

// {{ expression }}
struct print_node : statement {
    statement_ptr inner;
    explicit print_node(statement_ptr &&p) : inner(std::move(p))
    {
        pos = inner->pos;
    }
    std::string type() const override
    {
        return "Print";
    }
    value execute_impl(context &ctx) const override
    {
        value v = inner->execute(ctx);
        if (is_val<jinja::value_string>(v))
            return v;
        if (ctx.is_get_stats)
            jinja::value_t::stats_t::mark_used(v, true);
        return mk_val<jinja::value_string>(str(v));
    }
};

// A name or a chain of members as the template writes it.
std::string source_of(const statement_ptr &p)
{
    if (auto *id = jinja::cast_stmt<jinja::identifier>(p))
        return id->val;
    if (auto *once = dynamic_cast<const once_node *>(p.get()))
        return source_of(once->inner);
    if (auto *m = jinja::cast_stmt<jinja::member_expression>(p)) {
        if (auto *text = jinja::cast_stmt<jinja::string_literal>(m->property))
            return source_of(m->object) + "['" + text->val + "']";
        return source_of(m->object) + (m->computed ? "[..]" : "." + source_of(m->property));
    }
    return "value";
}

struct member_node : jinja::member_expression {
    using member_expression::member_expression;
    value execute_impl(context &ctx) const override
    {
        auto *once = static_cast<const once_node *>(object.get());
        value v = once->look(ctx);
        if (v->is_undefined()) {
            once->kept = nullptr;
            auto *name = jinja::cast_stmt<jinja::identifier>(this->property);
            throw refusal{v->type() + " has no attribute" +
                          (name && !computed ? " '" + name->val + "'" : "")};
        }
        return member_expression::execute_impl(ctx);
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

struct call_node : jinja::call_expression {
    using call_expression::call_expression;
    value execute_impl(context &ctx) const override
    {
        one_call call;
        return call_expression::execute_impl(ctx);
    }
};

struct call_block_node : jinja::call_statement {
    using call_statement::call_statement;
    value execute_impl(context &ctx) const override
    {
        one_call block;
        return call_statement::execute_impl(ctx);
    }
};

// Operators: what would be larger than any text is not made.
struct binary_node : jinja::binary_expression {
    using binary_expression::binary_expression;
    value execute_impl(context &ctx) const override
    {
        if (op.value == "and" || op.value == "or")
            return binary_expression::execute_impl(ctx);
        auto *a = static_cast<const once_node *>(left.get()),
             *b = static_cast<const once_node *>(right.get());
        value x = a->look(ctx), y = b->look(ctx);
        size_t n = is_val<jinja::value_string>(x) ? x->val_str.length() : 0,
               m = is_val<jinja::value_string>(y) ? y->val_str.length() : 0;
        uint64_t times = 1;
        if (op.value == "*" && n && is_val<jinja::value_int>(y))
            times = static_cast<uint64_t>(std::max<int64_t>(0, y->as_int()));
        else if (op.value == "*" && m && is_val<jinja::value_int>(x))
            times = static_cast<uint64_t>(std::max<int64_t>(0, x->as_int()));
        if (n + m > max_text || times > max_text || (n + m) * times > max_text) {
            a->kept = b->kept = nullptr;
            throw refusal{"it makes a text of more than 64 MiB"};
        }
        value v = binary_expression::execute_impl(ctx);
        if (is_val<jinja::value_string>(v) && v->val_str.parts.size() > 1)
            v->val_str = jinja::string(v->val_str.str()); // one part: they would add up to millions
        return v;
    }
};

struct filter_node : jinja::filter_expression {
    jinja::func_handler own;
    filter_node(statement_ptr &&on, statement_ptr &&name, jinja::func_handler run)
        : filter_expression(std::move(on), std::move(name)), own(std::move(run))
    {
    }
    value execute_impl(context &ctx) const override
    {
        func_args args(ctx);
        args.push_back(operand->execute(ctx));
        if (auto *call = jinja::cast_stmt<jinja::call_expression>(filter))
            for (const auto &arg : call->args)
                args.push_back(arg->execute(ctx));
        return own(args);
    }
};

const struct {
    const char *name;
    value (*run)(const func_args &);
} filters[] = {{"tojson", tojson}};

statement_ptr mend(statement_ptr p);

void mend_all(statements &list)
{
    for (auto &p : list)
        p = mend(std::move(p));
}

// The statements of a block: expressions among them are written.
void mend_body(statements &list)
{
    mend_all(list);
    for (auto &p : list)
        if (p && dynamic_cast<jinja::expression *>(p.get()) && !jinja::is_stmt<jinja::string_literal>(p))
            p = std::make_unique<print_node>(std::move(p));
    if (!list.empty()) {
        auto node = std::make_unique<step_node>();
        node->pos = list[0]->pos;
        list.insert(list.begin(), std::move(node));
    }
}

statement_ptr mend_filter(statement_ptr p)
{
    auto *x = static_cast<jinja::filter_expression *>(p.get());
    const auto *id = jinja::cast_stmt<jinja::identifier>(x->filter);
    if (auto *call = jinja::cast_stmt<jinja::call_expression>(x->filter))
        id = jinja::cast_stmt<jinja::identifier>(call->callee);
    for (const auto &f : filters)
        if (id && id->val == f.name) {
            auto node = std::make_unique<filter_node>(std::move(x->operand), std::move(x->filter), f.run);
            node->pos = x->pos;
            return node;
        }
    return p;
}

statement_ptr mend(statement_ptr p)
{
    statement *s = p.get();
    if (!s)
        return p;
    auto one = [](statement_ptr &child) { child = mend(std::move(child)); };
    if (auto *i = dynamic_cast<jinja::if_statement *>(s)) {
        one(i->test);
        mend_body(i->body);
        mend_body(i->alternate);
    } else if (auto *f = dynamic_cast<jinja::for_statement *>(s)) {
        one(f->iterable);
        mend_body(f->body);
        mend_body(f->default_block);
    } else if (auto *set = dynamic_cast<jinja::set_statement *>(s)) {
        one(set->val);
        mend_body(set->body);
    } else if (auto *m = dynamic_cast<jinja::macro_statement *>(s)) {
        mend_all(m->args);
        mend_body(m->body);
    } else if (auto *c = dynamic_cast<jinja::call_statement *>(s)) {
        one(c->call);
        mend_all(c->caller_args);
        mend_body(c->body);
        auto node = std::make_unique<call_block_node>(std::move(c->call), std::move(c->caller_args),
                                                      std::move(c->body));
        node->pos = c->pos;
        return node;
    } else if (auto *fs = dynamic_cast<jinja::filter_statement *>(s)) {
        one(fs->filter);
        mend_body(fs->body);
    } else if (auto *a = dynamic_cast<jinja::array_literal *>(s)) {
        mend_all(a->val);
    } else if (auto *t = dynamic_cast<jinja::tuple_literal *>(s)) {
        mend_all(t->val);
    } else if (auto *o = dynamic_cast<jinja::object_literal *>(s)) {
        for (auto &pair : o->val) {
            one(pair.first);
            one(pair.second);
        }
    } else if (auto *b = dynamic_cast<jinja::binary_expression *>(s)) {
        one(b->left);
        one(b->right);
        auto node = std::make_unique<binary_node>(b->op, std::make_unique<once_node>(std::move(b->left)),
                                                  std::make_unique<once_node>(std::move(b->right)));
        node->pos = b->pos;
        return node;
    } else if (auto *call = dynamic_cast<jinja::call_expression *>(s)) {
        one(call->callee);
        mend_all(call->args);
        auto node = std::make_unique<call_node>(std::move(call->callee), std::move(call->args));
        node->pos = call->pos;
        return node;
    } else if (auto *sel = dynamic_cast<jinja::select_expression *>(s)) {
        one(sel->lhs);
        one(sel->test);
    } else if (auto *te = dynamic_cast<jinja::test_expression *>(s)) {
        one(te->operand);
        one(te->test);
    } else if (auto *u = dynamic_cast<jinja::unary_expression *>(s)) {
        one(u->argument);
    } else if (auto *sl = dynamic_cast<jinja::slice_expression *>(s)) {
        one(sl->start_expr);
        one(sl->stop_expr);
        one(sl->step_expr);
    } else if (auto *kw = dynamic_cast<jinja::keyword_argument_expression *>(s)) {
        one(kw->val);
    } else if (auto *te2 = dynamic_cast<jinja::ternary_expression *>(s)) {
        one(te2->condition);
        one(te2->true_expr);
        one(te2->false_expr);
    } else if (auto *fe = dynamic_cast<jinja::filter_expression *>(s)) {
        one(fe->operand);
        one(fe->filter);
        return mend_filter(std::move(p));
    } else if (auto *me = dynamic_cast<jinja::member_expression *>(s)) {
        one(me->object);
        if (me->computed)
            one(me->property);
        auto node = std::make_unique<member_node>(std::make_unique<once_node>(std::move(me->object)),
                                                  std::move(me->property), me->computed);
        node->pos = me->pos;
        return node;
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
    case JSON_INTEGER: return mk_val<jinja::value_int>(static_cast<int64_t>(json_integer_value(v)));
    case JSON_REAL: return mk_val<jinja::value_float>(json_real_value(v));
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
    throw refusal{str(args.get_pos(0))};
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
        list->push_back(mk_val<jinja::value_int>(i));
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
        if (!pair.second->stats.used && chat_holds_text(key.c_str(), json_object_get(o, key.c_str())))
            count_unused(unused, prefix + key);
    }
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
        auto tokens = lexer.tokenize(std::string(text, n));
        if (!check_shape(tokens.tokens)) {
            fail(e, "the chat template",
                 "has an expression of more than 400 parts, or blocks nested more than 64 deep");
            return nullptr;
        }
        t->source = tokens.source;
        t->program = jinja::parse_from_tokens(tokens);
        mend_body(t->program.body);
        return t.release();
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
    try {
        context ctx(t->source);
        ctx.current_time = static_cast<std::time_t>(now);
        ctx.is_get_stats = unused != nullptr;
        value root = value_of(vars, 0);
        for (const auto &pair : root->as_ordered_object())
            ctx.set_val(pair.first, pair.second);
        ctx.set_val("raise_exception", mk_val<jinja::value_func>("raise_exception", raise_exception));
        ctx.set_val("range", mk_val<jinja::value_func>("range", range));
        ctx.set_val("strftime_now", mk_val<jinja::value_func>("strftime_now", strftime_now));
        jinja::runtime runtime(ctx);
        auto parts = jinja::runtime::gather_string_parts(runtime.execute(t->program));
        std::string text = jinja::render_string_parts(parts);
        if (unused) {
            const json_t *list = json_object_get(vars, "messages");
            value dummy = mk_val<jinja::value_none>(), messages = root->at("messages", dummy);
            count_members(vars, root, "", unused);
            for (size_t i = 0; i < json_array_size(list); i++)
                if (json_is_object(json_array_get(list, i)))
                    count_members(json_array_get(list, i), messages->as_array()[i], "messages.", unused);
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
