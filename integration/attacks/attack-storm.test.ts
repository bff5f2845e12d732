import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { privateKeyFromPem } from '../../src/pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf, signSsh } from '../../src/pki/ssh-key.ts';
import { supportedAlgorithms } from '../../src/ssh/algorithms.ts';
import { attackHttp, attackWithText } from './attack-storm/http-attacks.ts';
import { attackAfterKeys, attackBeforeKeys } from './attack-storm/ssh-attacks.ts';
import { type Attacked, startAttacked } from './attacked.ts';
import { until } from '../harness/run-program.ts';
import { RawClient, shownWith } from '../ssh/ssh-raw-client.ts';
import { randomOf } from '../stores/store-trial/random.ts';

/** How long; `make soak` says 600. A seed repeats the attacks, not how they meet. */
const seconds = Number(process.env['ATTACK_SECONDS'] ?? 8);
const seed = Number(process.env['ATTACK_SEED'] ?? 10);

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked();
});
afterAll(() => here.cluster.close());

const mib = (kib: string | undefined): number => Number(kib) / 1024;
const heldMiB = (pid: number): number =>
  mib(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const logMiB = (): number =>
  mib(execFileSync('du', ['-sk', join(here.cluster.dataDir)], { encoding: 'utf8' }).split('\t')[0]);

describe(`attacks on every port for ${seconds} s, seed ${seed}`, () => {
  it(
    'leave nothing dead, grown or leaked, and nothing that the log calls a bug',
    { timeout: (seconds + 120) * 1000 },
    async () => {
      const pid = here.cluster.pid();
      const { ports } = here.cluster;
      const counts: Record<string, number> = {};
      const statuses = new Set<number>();
      const attackers: Readonly<Record<string, (random: ReturnType<typeof randomOf>) => Promise<unknown>>> = {
        'ssh before keys': (random) => attackBeforeKeys(random, random.oneOf([ports.ssh, ports.proxySsh])),
        'ssh after keys': (random) =>
          attackAfterKeys(
            random,
            random.oneOf([ports.ssh, ports.proxySsh]),
            random.oneOf(supportedAlgorithms.ciphers),
          ),
        http: (random) => attackHttp(random, here),
        // An answer may be cut when there are too many connections: refused, so it is.
        text: async (random) => {
          statuses.add((await attackWithText(random, here).catch(() => ({ status: 0 }))).status);
        },
      };
      let over = false;
      const loop = async (name: string, attack: (typeof attackers)[string], n: number): Promise<void> => {
        const random = randomOf(seed * 1000 + n);
        while (!over) {
          await attack(random);
          counts[name] = (counts[name] ?? 0) + 1;
        }
      };
      const storm = (count: number): Promise<void>[] =>
        Object.entries(attackers).flatMap(([name, attack]) =>
          Array.from({ length: count }, (_, n) => loop(name, attack, n)),
        );
      const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
      // What a daemon holds that has met every kind of attack: caches and code are warm.
      const before = { descriptors: descriptors(pid) };
      const all = storm(6);
      await pause(seconds * 250);
      const warm = { held: heldMiB(pid) };
      await pause(seconds * 750);
      over = true;
      await Promise.all(all);

      expect(here.cluster.pid()).toBe(pid);
      for (const name of Object.keys(attackers)) expect(counts[name]).toBeGreaterThan(seconds / 3);
      expect([...statuses].filter((status) => status >= 500)).toEqual([]);
      await until(
        'every connection of the attack to be gone',
        () => descriptors(pid) <= before.descriptors + 15 || undefined,
        90_000,
      );
      expect(heldMiB(pid)).toBeLessThan(warm.held + 200);
      expect(logMiB()).toBeLessThan(64);
      await here.unharmed();
      // And who has a certificate works as before.
      const key = privateKeyFromPem(here.alice.privateKeyPem);
      const blob = fromAuthorizedKeyLine(here.alice.sshCertificate);
      for (const port of [ports.ssh, ports.proxySsh]) {
        const client = new RawClient();
        const shown = shownWith('ssh-ed25519', blob, publicKeyOf(key).blob, (data) =>
          signSsh(key, 'ssh-ed25519', data),
        );
        expect(await client.login(port, 'root', shown)).toBe('accepted');
        client.end();
        await client.closed;
      }
      console.log({
        counts,
        before,
        warm,
        after: { held: heldMiB(pid), descriptors: descriptors(pid), log: logMiB() },
      });
    },
  );
});
