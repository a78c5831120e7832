// node make.cjs: whether the texts in words.jsonl have other words by the engine's expressions than by the published ones of o200k and tekken,
// with the regular expressions of Node. Node's \s differs from White_Space, so that stands here as a class.
const fs = require("fs"), file = __dirname + "/words.jsonl";
const W = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000", S = `[${W}]`, NOT_S = `[^${W}]`;
const O = "[^\\r\\n\\p{L}\\p{N}]?", C = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?";
const tail = `| ?[^${W}\\p{L}\\p{N}]+[\\r\\n/]*|${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`;
const words = (U, L, C, N) => new RegExp(`${O}${U}*${L}+${C}|${O}${U}+${L}*${C}|${N}${tail}`, "gu");
const model = ["[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"];
const engine = ["(?:(?=\\p{L})[^a-z])", "(?:(?=\\p{L})[^A-Z])"]; // as in src/llama-vocab.cpp of the engine
const kinds = { "gpt-4o": [C, "\\p{N}{1,3}"], tekken: ["", "\\p{N}"] };
const differs = (text, kind) => JSON.stringify(text.match(words(...model, ...kind))) !== JSON.stringify(text.match(words(...engine, ...kind)));
const texts = fs.readFileSync(file, "utf8").trim().split("\n").map(l => JSON.parse(l).text);
fs.writeFileSync(file, texts.map(t => JSON.stringify({ text: t, "gpt-4o": differs(t, kinds["gpt-4o"]), tekken: differs(t, kinds.tekken) }) + "\n").join(""));
