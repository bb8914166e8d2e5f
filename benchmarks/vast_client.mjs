// Parses documents with vast-client-js, as many times as it is asked to, for bench_vast_parse.py.
// Arguments: files. Each line read is "INDEX COUNT"; the answer is the nanoseconds
// of CPU of one call, those of all threads.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { VASTParser } from "@dailymotion/vast-client";
import xmldom from "@xmldom/xmldom";

const texts = process.argv.slice(2).map((file) => readFileSync(file, "utf8"));
const documents = new xmldom.DOMParser();

async function parse(text) {
  const parser = new VASTParser();
  const parsed = await parser.parseVAST(documents.parseFromString(text, "text/xml"));
  if (parsed.ads.length !== 1) throw new Error("the document should have one ad");
  return parsed;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [index, count] = line.split(" ").map(Number);
  const started = process.cpuUsage();
  for (let call = 0; call < count; call += 1) await parse(texts[index]);
  const { user, system } = process.cpuUsage(started);
  console.log(String(((user + system) * 1000) / count));
}
