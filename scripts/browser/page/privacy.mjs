// That nothing leaves the machine, and that no network is needed after the first visit.
import { createServer } from 'node:http';
import { open, ready, recognise } from './driver.mjs';

/** What the checks themselves ask for; the page adds nothing to an address. */
const QUERIES = [undefined, 'decode-rate=16000', 'gpu=off'];

/** After everything before: only files of the page were asked for, and neither page nor worker reaches another server. */
export async function checkPrivacy(context, tab, server, check) {
  for (const request of new Set(server.requests)) {
    const fine = request.startsWith('GET /') && !request.includes('..') && QUERIES.includes(request.split('?')[1]);
    check(fine, `the page requests ${request}`);
  }
  let asked = 0;
  const elsewhere = createServer((_, response) => {
    asked += 1;
    response.writeHead(200, { 'access-control-allow-origin': '*' }).end();
  });
  await new Promise((done) => elsewhere.listen(0, '127.0.0.1', done));
  const address = `http://127.0.0.1:${elsewhere.address().port}/`;
  const send = (address) => fetch(address, { method: 'POST', body: 'music' }).then(() => 'sent', () => 'blocked');
  check((await tab.evaluate(send, address)) === 'blocked', 'the page reaches another server');
  check(tab.workers().length > 0, 'there is a worker');
  for (const worker of tab.workers()) check((await worker.evaluate(send, address)) === 'blocked', 'the worker reaches another server');
  check(asked === 0, `another server was asked ${asked} times`);
  await new Promise((done) => elsewhere.close(done));
  const names = await context.cookies();
  check(names.length === 0, 'there are cookies');
  console.log(`\nprivacy: ${new Set(server.requests).size} files asked for, page and worker reach no other server`);
}

/** With the server gone, a new tab loads the page and recognises a song; what is large was fetched once. */
export async function checkOffline(context, server, { song, check }) {
  const large = server.requests.filter((request) => request.includes('/files/'));
  const again = await open(context, server.address);
  await again.waitForFunction(() => document.querySelector('#offline').textContent.startsWith('This page works offline'), null, { timeout: 60_000 });
  const fetched = server.requests.filter((request) => request.includes('/files/')).length - large.length;
  check(fetched === 0, `a second visit fetches ${fetched} large files`);
  await again.close();
  await server.close();
  const tab = await context.newPage();
  await tab.goto(server.address);
  await ready(tab);
  const { answer, error } = await recognise(tab, song);
  check(answer?.artists.length > 1, `offline: ${error}`);
  const manifest = await tab.evaluate(async () => (await fetch(document.querySelector('link[rel=manifest]').href)).json());
  check(manifest.icons.length > 0 && manifest.display === 'standalone', 'the manifest is there');
  await tab.goto(`${server.address}licences/onnxruntime-web.txt`);
  check((await tab.locator('#choose').count()) === 0 && (await tab.textContent('body')).includes('Microsoft'), 'offline, a licence is itself and not the page');
  console.log(`offline: ${answer?.artists[0].artist}`);
}
