// vast-client-js as a peer of `vast_resolvers.py`: the same rounds on standard input.
// node vast_resolver_peer.cjs MODULE ADDRESS
const readline = require("node:readline");
const { VASTClient } = require(process.argv[2]);
const address = process.argv[3];

// One client at a time for each chain: a client keeps the state of its chain in itself.
async function chains(count) {
  let impressions = 0;
  for (let each = 0; each < count; each += 1) {
    const client = new VASTClient();
    const response = await client.get(address, { wrapperLimit: 6, resolveAll: true });
    impressions += response.ads[0].impressionURLTemplates.length;
  }
  return impressions;
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [count, concurrency] = line.split(" ").map(Number);
    const cpu = process.cpuUsage();
    const wall = performance.now();
    const work = Array.from({ length: concurrency }, () => chains(count / concurrency));
    const found = await Promise.all(work);
    const used = process.cpuUsage(cpu);
    const took = {
      seconds: (performance.now() - wall) / 1000,
      cpu: (used.user + used.system) / 1e6,
      impressions: found.reduce((sum, each) => sum + each, 0),
    };
    console.log(JSON.stringify(took));
  }
})();
