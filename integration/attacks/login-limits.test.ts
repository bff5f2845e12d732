import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { newKey } from '../harness/auth-bench.ts';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { createFirstUser, logIn } from '../harness/people.ts';

const attempts = 80;
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await createFirstUser(cluster, 'joe', { logins: [userInfo().username] });
});
afterAll(() => cluster.close());

interface Told {
  readonly status: number | undefined;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** One wrong password from an address of this machine. */
function guess(user: string, from: string): Promise<Told> {
  const body = JSON.stringify({
    user,
    password: 'a wrong one',
    pub_key: Buffer.from(`${toAuthorizedKeyLine(newKey().publicKey.blob)}\n`).toString('base64'),
    ttl: 3_600_000_000_000,
  });
  return new Promise((resolve, reject) => {
    const asked = request({
      host: 'localhost',
      port: cluster.ports.web,
      ca: readFileSync(join(cluster.dataDir, 'webproxy_cert.pem')),
      localAddress: from,
      path: '/v1/webapi/ssh/certs',
      method: 'POST',
      agent: false,
    });
    asked.once('error', reject);
    asked.once('response', (answer) => {
      text(answer).then((got) => {
        resolve({ status: answer.statusCode, retryAfter: answer.headers['retry-after'], body: got });
      }, reject);
    });
    asked.end(body);
  });
}

/**
 * How many of so many guesses, one after the other, were looked at; the others were told when to try again.
 */
async function guesses(user: (n: number) => string, from: string): Promise<number> {
  const began = performance.now();
  let looked = 0;
  for (let n = 0; n < attempts; n++) {
    const { status, retryAfter, body } = await guess(user(n), from);
    if (status === 403) looked++;
    else {
      expect([status, body]).toEqual([429, expect.stringMatching(/too many .*, try again in \d+ s"/)]);
      expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
    }
  }
  // Six more a minute.
  const most = 31 + (performance.now() - began) / 10_000;
  expect(looked).toBeLessThanOrEqual(most);
  return looked;
}

describe('guesses of passwords', () => {
  it(
    'are looked at thirty times from one address, the same for who exists and who does not, and do not fill the audit',
    { timeout: 240_000 },
    async () => {
      const looked = [
        await guesses(() => 'joe', '127.0.0.4'),
        await guesses(() => 'ghost', '127.0.0.5'),
        await guesses((n) => `ghost${n}`, '127.0.0.6'),
      ];
      console.log(`looked at ${looked.join(', ')} of ${attempts} each`);
      const counted = await until('what was not looked at to be told', async () => {
        const { stdout } = await cluster.tctl('events', 'ls', '--type=gap', '--format=json');
        const gaps = stdout
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as { about: string; count: number });
        const sum = gaps.filter(({ about }) => about === 'user.login').reduce((n, { count }) => n + count, 0);
        return sum >= 3 * attempts - looked.reduce((a, b) => a + b) ? gaps.length : undefined;
      });
      console.log(`the rest was told in ${counted} events`);
      // Who logged in from here before is let in meanwhile.
      await cluster.tsh('joe', ['logout']);
      await logIn(cluster, 'joe');
    },
  );
});
