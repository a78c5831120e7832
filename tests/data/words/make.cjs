// node make.cjs: whether the texts in words.jsonl have other words by the engine's expressions than by the published ones of o200k, tekken and
// Kimi-K2 (there: whether the engine divides a word of the model), with the regular expressions of Node. Node's \s differs from White_Space, so that stands here as a class.
const fs = require("fs"), file = __dirname + "/words.jsonl";
const W = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000", S = `[${W}]`, NOT_S = `[^${W}]`;
const O = "[^\\r\\n\\p{L}\\p{N}]?", C = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?";
const tail = `| ?[^${W}\\p{L}\\p{N}]+[\\r\\n/]*|${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`;
const words = (U, L, C, N) => new RegExp(`${O}${U}*${L}+${C}|${O}${U}+${L}*${C}|${N}${tail}`, "gu");
const model = ["[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"];
const engine = ["(?:(?=\\p{L})[^a-z])", "(?:(?=\\p{L})[^A-Z])"]; // as in src/llama-vocab.cpp of the engine
const kinds = { "gpt-4o": [C, "\\p{N}{1,3}"], tekken: ["", "\\p{N}"] };
const differs = (text, kind) => JSON.stringify(text.match(words(...model, ...kind))) !== JSON.stringify(text.match(words(...engine, ...kind)));
// Kimi-K2; the engine's handler is unicode_regex_split_custom_kimi_k2 of src/unicode.cpp
const HAN = "[\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2ebef}\\u{2f800}-\\u{2fa1f}]";
const rest = `|\\p{N}{1,3}| ?[^${W}\\p{L}\\p{N}]+[\\r\\n]*|${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`, but = (set, han) => `[${set}--${han}]`;
const u = but(model[0], "\\p{sc=Han}"), l = but(model[1], "\\p{sc=Han}"), letter = but("\\p{L}", HAN);
const kimi = new RegExp(`\\p{sc=Han}+|${O}${u}*${l}+${C}|${O}${u}+${l}*${C}${rest}`, "gv"), kimiEngine = new RegExp(`${HAN}+|${O}${letter}+${C}${rest}`, "gv");
const ends = (text, r) => [...text.matchAll(r)].map(m => m.index + m[0].length);
const divides = text => { const e = new Set(ends(text, kimi)); return ends(text, kimiEngine).some(x => !e.has(x)); };
const texts = fs.readFileSync(file, "utf8").trim().split("\n").map(l => JSON.parse(l).text);
fs.writeFileSync(file, texts.map(t => JSON.stringify({ text: t, "gpt-4o": differs(t, kinds["gpt-4o"]), tekken: differs(t, kinds.tekken), "kimi-k2": divides(t) }) + "\n").join(""));
