// hard_text.mjs - rows {"id", "text"} of hard text for tokenizers, the same each time: fixed cases, names and dates
// of 105 locales (the ICU of node), pieces of code of a folder, random characters of blocks of Unicode.
import fs from "fs";
import path from "path";

export function hardText(codeDir) {
const rows = []; const add = (id, text) => { if (text.length) rows.push({ id: id + "-" + rows.length, text }); };
let s = 12345; const rnd = n => { s = (Math.imul(s, 1664525) + 1013904223) >>> 0; return Math.floor(s / 4294967296 * n); };
const pick = a => a[rnd(a.length)];
// 1. fixed
for (const t of ["Hello world", " Hello", "Hello ", "  Hello  ", "Hello\n", "\nHello", "\n\n\nHello\n\n\n", "\tHello\t\tWorld\t", " \t \n \r\n x", "a\r\nb\r\n\r\nc\r\n", "a\rb\rc",
  " ", "  ", "   ", "    ", "\n", "\n\n", "\n \n", " \n ", "\t", "\t\t", "\r", "\r\n", "\r\n\r\n", " \r\n", "x \n", "x  \n", "x\t\n", "x \t\n y", "end   ", "end\t", "end\n\n  ", "a  b", "a   b", "a    b", "a\u00a0b", "a\u00a0\u00a0 b", "a\u3000b", "\u3000\u3000中文", "a\u2003b", "a\u2028b\u2029c", "a\u0085b", "a\u200bb", "\ufeffstart", "a\u202eb\u202c",
  "I'm you're he's we've they'll I'd don't", "I'M YOU'RE HE'S WE'VE THEY'LL I'D DON'T", "I’m you’re he’s we’ve", "'s 't 're 've 'm 'll 'd", "x's'll'd've", "'S'T'RE", "it'ſ 'ſ", "don''t", "O'Neill's'",
  "0 1 12 123 1234 12345 123456 1234567 12345678 1234567890", "3.14159 1,234,567.89 -42 +7 1e-10 0xDEADBEEF 0b1010", "٠١٢٣٤٥٦٧٨٩ १२३४५ ๑๒๓ ①②③ ½¾ Ⅷ ²³ ㊿", "1１2２3３", "v1.2.3-rc.4+build567", "2024-02-29T23:59:60Z", "192.168.0.1:8080 fe80::1%eth0", "+49 (0)30 1234-5678", "$1,000.00 €5 £3 ¥100 ₹50",
  "camelCaseWordsInHTMLParserXMLHttpRequest2 snake_case_words SCREAMING_SNAKE kebab-case", "ALLCAPS lower Title tITLE", "ÄÖÜ äöü ß ẞ ÀÉÎÕÜ àéîõü ÇĞŞİ ıİ", "naïve café résumé", "e\u0301 a\u0308 n\u0303 o\u0302\u0301 (NFD)", "Å Å Å", "ﬁ ﬂ ﬃ ǆ Ǆ ǅ", "ⅠⅡⅢ ℌℑ ℕℝ 𝔸𝕓𝒞 𝟙𝟚", "Ａｂｃ１２３！", "ʰʲʷ ᵃᵇ ₐₑ", "ʻokina ʼ", "ªº ¹",
  "http://example.com/a/b?c=d&e=f#g https://例え.テスト/パス", "a@b.co C:\\Users\\x\\y.txt /usr/share/doc/../x", "<html><body class=\"x\">&amp;&#39;</body></html>", "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\\n\"}", "!@#$%^&*()_+-=[]{}|;':\",./<>?`~", "...!!!???;;;:::---===+++", "—–‒―‘’“”„…‹›«»", "(((((((((()))))))))) [[[[]]]] {{{{}}}}", "== != === !== <= >= => -> <- :: ++ -- && || ?? ?. **", "//////// /* */ /** */ // # -- ;; %%", "/a/b//c/// \n//\n/ /", "foo/\nbar//\r\n", "a.\n\nb!\n\n\nc?\r\n\r\nd", "-----\n*****\n=====\n", "| a | b |\n|---|---|\n| 1 | 2 |", "```python\nprint('x')\n```", "1.\t2.\t3.", "\\n\\t\\r\\\\ \\u0041",
  "你好，世界！今天天气怎么样？", "我們在臺灣使用繁體字。", "中英mixed文字with数字123和符号!@#", "こんにちは世界。カタカナとひらがなと漢字。", "ｶﾀｶﾅ ﾊﾝｶｸ", "안녕하세요 세계! 한국어 문장입니다.", "한글(NFD)", "ㄱㄴㄷ ㅏㅑ", "مرحبا بالعالم، كيف حالك؟", "السَّلَامُ عَلَيْكُمْ", "שלום עולם! שָׁלוֹם", "नमस्ते दुनिया। क्षत्रिय ज्ञान", "স্বাগতম বাংলা", "வணக்கம் உலகம்", "สวัสดีชาวโลก ภาษาไทยไม่มีช่องว่าง", "ສະບາຍດີ", "မင်္ဂလာပါ", "ជំរាបសួរ ពិភពលោក", "བཀྲ་ཤིས་བདེ་ལེགས།", "გამარჯობა მსოფლიო ᲒᲐᲛᲐᲠᲯᲝᲑᲐ", "Բարեւ աշխարհ", "Γειά σου Κόσμε ς Σ σ ΐ", "Привет, мир! Ёлка ёжик Їжак", "Здравей ѣ ѳ", "Xin chào thế giới Tiếng Việt ở đây", "ሰላም ዓለም", "ᠮᠣᠩᠭᠣᠯ", "ᏣᎳᎩ ꭰꭱ", "𓀀𓂀 𐎠𐎡 𐌰𐌱 𝄞", "ⲁⲃⲅ ⴰⴱ ꙁ", "𠀀𠮷𪚥 㐀㐁 龥鿿 豈", "〇々〆ヶ ゝゞ ー", "　「引用」、（括弧）。",
  "😀😃😄 😎👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 👨🏿‍🚀", "☺️ ☺ ✔️ ❤️‍🔥 1️⃣ #️⃣ ©️ ™", "🫠🫡🪿", "text😀text 😀 text😀😀😀", "👍🏻👍🏼👍🏽👍🏾👍🏿", "Z\u0351\u036b\u0343\u036a\u0302A\u0348\u0362L\u034d\u0349GO",
  "\u0001\u0002\u0007\u001b[31mred\u001b[0m\u007f", "a\u0008b\u000bc\u000cd", "\u0080\u0090\u009f", "\ufffd\ufffe\uffff", "\u{10ffff}\u{e000}\u{f8ff}\u{e0041}", "\u00ad soft\u00adhyphen", "ﷺ ﷽", "\ud83d\udc4d\u200d", "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308", "\u034f\u2060\u2061", "ꟸ ꟹ ꟺ", "ǅungla ǈ ǋ", "Ⓐⓑ 🄰",
  "a".repeat(5000), "abc".repeat(1500), "0".repeat(999), "1234567890".repeat(100), " ".repeat(300) + "x", "\n".repeat(200) + "x", "\t".repeat(100) + "x", ("x" + " ".repeat(37)).repeat(8), "!".repeat(700), "=".repeat(128) + "\n" + "-".repeat(81), "哈".repeat(600), "😀".repeat(100), "ا".repeat(300), "é".repeat(333), "Pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", "aaaAAAaaaAAA".repeat(50), "xX".repeat(400),
  "▁▁ ▁a a▁b", "Ġ Ċ ĉ Ā", "<0x41> <0x0A> <unk> <s> </s>", "[PAD0] [PAD151650] [UNK]", "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|> user", " <|im_end|> ", "<think>\nhm\n</think>\n\nok", "<tool_call>{\"name\": 1}</tool_call><tool_response></tool_response>", "<|endoftext|>", "<|endoftext|><|endoftext|>", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "<|vision_start|><|image_pad|><|vision_end|>", "<|start|>assistant<|channel|>analysis<|message|>x<|end|><|return|><|call|>", "<|reserved_200000|><|reserved_200017|><|startoftext|>", "<｜begin▁of▁sentence｜>a<｜User｜>b<｜Assistant｜>c<｜end▁of▁sentence｜>", "<｜fim▁hole｜> <｜fim▁begin｜> <｜▁pad▁｜>", "<｜place▁holder▁no▁0｜><｜place▁holder▁no▁799｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>x", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "<|reserved_special_token_0|> <|reserved_special_token_250|>", "<|python_tag|><|eom_id|><|finetune_right_pad_id|>", "<bos><start_of_turn>user\nx<end_of_turn>\n<eos>", "<unused0><unused99>[multimodal] <h1>x</h1>", "[INST] a [/INST] b</s>[INST] c [/INST]", "<s>[INST] <<SYS>>\nx\n<</SYS>>\n\ny [/INST]", "x<s>y</s>z", "<s> <s>  </s> ", "<pad><mask><unk>", "<|im_start", "im_start|>", "<|im_start|im_start|>", "<｜User｜", "|||IP_ADDRESS||| |||EMAIL_ADDRESS|||a|||PHONE_NUMBER|||", "<|padding|>", "a                        b (24)", "a                         b (25)", "    if x:\n        y\n            z\n                w\n", "\n  \n    \n      \n", "a  \n   b    \n     c", "<\u200b|im_start|>"]) add("fixed", t);
// 2. real words of all locales that ICU has
const langs = "af am ar as az be bg bn bo bs ca ceb chr cs cy da de dz ee el en eo es et eu fa fi fil fo fr ga gl gu ha haw he hi hr hu hy id ig is it ja ka kk km kn ko kok ky lb ln lo lt lv mg mk ml mn mr ms mt my ne nl nb or pa pl ps pt ro ru sd si sk sl so sq sr sr-Latn sv sw ta te tg th ti tk tr tt ug uk ur uz vi wo yi yo yue zh zh-Hant zu".split(" ");
for (const l of langs) {
  const d = new Intl.DateTimeFormat(l, { dateStyle: "full", timeStyle: "long", timeZone: "UTC" }).format(new Date(Date.UTC(2023, langs.indexOf(l) % 12, 5, 13, 37)));
  const lang = new Intl.DisplayNames(l, { type: "language" }), reg = new Intl.DisplayNames(l, { type: "region" }), cur = new Intl.DisplayNames(l, { type: "currency" });
  const list = new Intl.ListFormat(l).format("de fr ja ar zh ru th hi sw tr vi he".split(" ").map(x => lang.of(x)));
  const list2 = "DE CI ST KP GB BR CN EG TH AX RE".split(" ").map(x => reg.of(x)).join("; ");
  const n = new Intl.NumberFormat(l, { style: "currency", currency: "EUR" }).format(-1234567.891) + " " + new Intl.NumberFormat(l, { notation: "compact", compactDisplay: "long" }).format(98765432);
  add("icu-" + l, d + "\n" + list + "."); add("icu-" + l, list2 + " " + n + " " + cur.of("JPY") + "\r\n" + list.normalize("NFC").toUpperCase());
}
// 3. code
if (codeDir) {
  const files = []; const walk = d => { for (const f of fs.readdirSync(d).sort()) { const p = path.join(d, f), st = fs.lstatSync(p); if (st.isDirectory()) walk(p); else if (/\.(c|h|cpp|py|js|mjs|md|sh|json|cu|swift|kt|yml|txt|jinja|comp)$/.test(f) && st.size < 4e5) files.push(p); } }; walk(codeDir);
  for (let i = 0; i < 150; i++) {
    const t = fs.readFileSync(pick(files), "utf8"); if (!t) continue;
    let at = rnd(Math.max(1, t.length - 700)), u = t.slice(at, at + 200 + rnd(500)).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "").replace(/\0/g, "");
    if (i % 5 === 1) u = u.replace(/\n/g, "\r\n"); if (i % 5 === 2) u = u.replace(/    /g, "\t"); add("code", u);
  }
}
// 4. random
const blocks = [[0x20, 0x7e], [0xa0, 0xff], [0x100, 0x24f], [0x250, 0x2ff], [0x300, 0x36f], [0x370, 0x3ff], [0x400, 0x52f], [0x531, 0x58a], [0x591, 0x5f4], [0x600, 0x6ff], [0x900, 0x97f], [0xe01, 0xe5b], [0x10a0, 0x10ff], [0x1100, 0x11ff], [0x1e00, 0x1fff], [0x2000, 0x206f], [0x2070, 0x209c], [0x20a0, 0x20bf], [0x2100, 0x218b], [0x2190, 0x23ff], [0x2460, 0x27bf], [0x2c00, 0x2dff], [0x3000, 0x30ff], [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xa640, 0xa7ff], [0xac00, 0xd7a3], [0xf900, 0xfaff], [0xff00, 0xffef], [0x10330, 0x1034a], [0x10400, 0x104ff], [0x1d400, 0x1d7ff], [0x1f300, 0x1faff], [0x20000, 0x2ffff]];
const ch = b => { let c = b[0] + rnd(b[1] - b[0] + 1); return String.fromCodePoint(c); };
for (let i = 0; i < 120; i++) { let t = ""; const b1 = pick(blocks), b2 = pick(blocks), n = 5 + rnd(80); for (let k = 0; k < n; k++) { const r = rnd(10); t += r < 5 ? ch(b1) : r < 8 ? ch(b2) : r < 9 ? " " : pick(["\n", "\t", "  ", "1", "'", ".", "/", "'s"]); } add("blocks", t); }
for (let i = 0; i < 60; i++) { let t = ""; const n = 5 + rnd(80); for (let k = 0; k < n; k++) t += ch(pick(blocks)); add("anything", t); }
const ws = [" ", " ", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2009"], bits = ["a", "B", "cd", "Ef", "1", "23", "456", "'s", "'LL", "'", "\"", ".", ",", "!", "?", "(", ")", "_", "-", "/", "\\", "#", "é", "ß", "İ", "中", "文字", "か", "한", "я", "Ж", "ش", "ก", "😀", "\u0301", "\u200d", "²", "Ⅳ", "ª", "ǅ", "<", "|", ">", "<|", "|>", "｜", "▁"];
for (let i = 0; i < 160; i++) { let t = ""; const n = 4 + rnd(60); for (let k = 0; k < n; k++) t += rnd(3) ? pick(bits) : pick(ws); add("mix", t); }
return rows;
}
