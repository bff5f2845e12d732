import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { ResolverProcess } from '../../src/base/resolver-process.ts';
import { startResolver } from '../../src/process/start-resolver.ts';

let resolver: ResolverProcess | undefined;
afterEach(() => {
  resolver?.close();
});
const ask = (script: string): Promise<readonly string[]> => {
  resolver = new ResolverProcess(() => startResolver(['/bin/sh', '-c', script]));
  return resolver.ask('a.example', new AbortController().signal);
};

it('outlives a resolver that is killed in the middle of a line, and asks another one before it gives up', async () => {
  await expect(ask('read question; printf \'{"id": 1, "addr\'; kill -9 $$')).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the name a.example cannot be looked up: its process ended (signal 9)',
  });
});

it('takes no notice of what else a resolver prints', async () => {
  const answer = `printf '%s\\n' null '"x"' 'loaded nss_foo' '{"id": 1, "addresses": ["192.0.2.1"]}'`;
  expect(await ask(`read question; ${answer}; read more`)).toEqual(['192.0.2.1']);
});

it('says so when no descriptor is left for it, keeps none, and looks names up when there are some again', async () => {
  const script = `
    import { closeSync, openSync, readdirSync } from 'node:fs';
    import { ResolverProcess } from ${JSON.stringify(resolve('src/base/resolver-process.ts'))};
    import { startResolver } from ${JSON.stringify(resolve('src/process/start-resolver.ts'))};
    const signal = new AbortController().signal;
    const answer = 'while read q; do printf \\'{"id": %s, "addresses": ["192.0.2.1"]}\\\\n\\' $(echo $q | tr -dc 0-9); done';
    const resolver = new ResolverProcess(() => startResolver(['/bin/sh', '-c', answer]));
    const ask = () => resolver.ask('a.example', signal).then(String, (e) => e.message);
    const stays = setInterval(() => undefined, 1000); // nothing else keeps it here
    const fill = [];
    const before = readdirSync('/proc/self/fd').length;
    try { for (;;) fill.push(openSync('/dev/null', 'r')); } catch { for (const fd of fill.splice(0, 3)) closeSync(fd); }
    const refused = await ask();
    for (const fd of fill) closeSync(fd);
    const left = readdirSync('/proc/self/fd').length - before;
    console.log(JSON.stringify([refused, left, await ask()]));
    clearInterval(stays);
    resolver.close();`;
  const { stdout } = await promisify(execFile)('/bin/sh', [
    ...['-c', 'ulimit -n 100; exec "$@"', 'sh'],
    ...[process.execPath, '--input-type=module', '-e', script],
  ]);
  expect(JSON.parse(stdout)).toEqual([
    expect.stringMatching(/^the name a.example cannot be looked up: .*EMFILE/),
    0,
    '192.0.2.1',
  ]);
});
