/*
 * The OpenSSH of other Debian releases, older and newer than this machine's. Where they cannot be had, that
 * is printed.
 */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';
import type { Ran } from '../harness/run-program.ts';
import { clientsOfOtherReleases, expectToCopy, expectToRun } from './other-releases.ts';

const login = userInfo().username;
const host = `${login}@node1.example`;
const found = await clientsOfOtherReleases();

describe.skipIf(found.length === 0)('sessions through the proxy', () => {
  let cluster: Cluster;
  let config: string;
  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    config = await sshConfigFor(cluster, 'joe');
  });
  afterAll(() => cluster.close());

  describe.each(found)('with OpenSSH $version', (clients) => {
    const { version } = clients;
    const sh = (line: string): Promise<Ran> => clients.sh(cluster.dir, line, cluster.env('joe'));
    const to = () => ({ config, host, dir: cluster.dir, env: cluster.env('joe') });

    it('runs a command, and says nothing of its own', () => expectToRun(clients, to()));
    it('runs nothing that a host is called, and has no command for such a one', async () => {
      const ran = join(cluster.dir, `ran-${version}`);
      for (const name of [
        `x';touch ${ran};'`,
        `x\\';touch ${ran};'`,
        `x$(touch ${ran})`,
        `\`touch ${ran}\``,
      ]) {
        const quoted = `'${name.replaceAll("'", `'\\''`)}.example'`;
        expect((await sh(`ssh -F ${config} ${quoted} true`)).code).not.toBe(0);
        const { stdout } = await sh(`ssh -G -F ${config} ${quoted}`);
        if (/['\\!]/.test(name)) expect(stdout).not.toContain('proxycommand');
      }
      expect((await sh(`ssh -G -F ${config} '${host}'`)).stdout).toContain(`proxycommand sh -c `);
      expect((await sh(`ssh -G -F ${config} 'x!y.example'`)).stdout).not.toContain('proxycommand');
      expect(existsSync(ran)).toBe(false);
    });
    it('agrees on the best key exchange of both, and renews keys while data flows', async () => {
      const best = Number(version) < 9.9 ? 'curve25519-sha256' : 'mlkem768x25519-sha256';
      const options = `-F ${config} -v -o RekeyLimit=1M`;
      const ran = await sh(`head -c 20000000 /dev/zero | ssh ${options} ${host} cat | wc -c`);
      expect(ran.stdout.trim()).toBe('20000000');
      const agreed = [...ran.stderr.matchAll(/kex: algorithm: (\S+)/g)].map(([, name]) => name);
      expect(agreed.length).toBeGreaterThan(3);
      expect(new Set(agreed)).toEqual(new Set([best]));
    });
    it('jumps with -J, and shares one connection', async () => {
      const jump = `-J ${login}@localhost:${cluster.ports.proxySsh} -p ${cluster.ports.ssh}`;
      expect(await sh(`ssh -F ${config} ${jump} ${host} echo jumped`)).toMatchObject({ stdout: 'jumped\n' });
      const socket = join(cluster.dir, `master-${version}`);
      const ran = await sh(
        `ssh -F ${config} -M -S ${socket} -fN ${host} > /dev/null 2>&1; ` +
          `for n in 1 2 3; do ssh -F ${config} -S ${socket} ${host} echo $n; done; ssh -F ${config} -S ${socket} -O exit ${host}`,
      );
      expect(ran.stdout).toBe('1\n2\n3\n');
    });
    it('copies by scp, the old protocol too, by sftp and by rsync', () => expectToCopy(clients, to()));
    it('reads our certificates and host keys', async () => {
      const { stdout } = await sh('ssh-keygen -L -f "$(find . -name "*-cert.pub" | head -n 1)"');
      expect(stdout).toMatch(/Type: ssh-ed25519-cert-v01@openssh.com user certificate[^]*Key ID: "joe"/);
      for (const port of [cluster.ports.proxySsh, cluster.ports.ssh])
        expect((await sh(`ssh-keyscan -p ${port} 127.0.0.1`)).stdout).toMatch(/ssh-ed25519 AAAA/);
    });
  });
});
