/*
 * The OpenSSH of other Debian releases, older and newer than this machine's. Where they cannot be had, that
 * is printed.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run } from '../harness/run-program.ts';
import { type DebianRelease, unpackPackages } from '../harness/debian-packages.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;
const host = `${login}@node1.example`;
const project = resolve('.');
const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

interface Clients {
  readonly version: string;
  readonly root: string;
}

const packages = ['openssh-client', 'rsync', 'base-files', 'bash', 'dash', 'coreutils', 'findutils'];

/** A root with nothing but these programs and what they need. */
async function clientsOf(release: DebianRelease): Promise<Clients | undefined> {
  const root = await unpackPackages(release, packages, { dependencies: true });
  if (root === undefined) return undefined;
  // What the scripts of the packages would have made.
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  const { stderr } = await within(root, '/', 'ssh -V');
  return { version: /OpenSSH_(\d+\.\d+)/.exec(stderr)?.[1] ?? stderr, root };
}

/**
 * Runs a shell line in mount namespaces of its own: on that root, with the scratch files, the project and
 * devices of here.
 */
const within = (root: string, directory: string, line: string, env?: NodeJS.ProcessEnv): Promise<Ran> =>
  run(
    'unshare',
    ['--mount', '--propagation=private', 'sh', '-c', entering, root, project, directory, line],
    env && { env },
  );
const entering = `
set -e
for path in /dev /tmp "$1"; do mkdir -p "$0$path"; mount --rbind "$path" "$0$path"; done
mkdir -p "$0/proc"
mount -t proc proc "$0/proc"
node=$(readlink -f "$1/.tools/node/bin/node")
[ -e "$0$node" ] || { mkdir -p "$0$(dirname "$node")"; touch "$0$node"; mount --bind "$node" "$0$node"; }
exec chroot "$0" /bin/sh -c 'cd "$0" && eval "$1"' "$2" "$3"
`;

const found = (await Promise.all((['bullseye', 'trixie', 'forky'] as const).map(clientsOf))).filter(
  (one) => one !== undefined,
);

describe.skipIf(found.length === 0)('sessions through the proxy', () => {
  let cluster: Cluster;
  let config: string;
  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    config = await sshConfigFor(cluster, 'joe');
  });
  afterAll(() => cluster.close());

  describe.each(found)('with OpenSSH $version', ({ version, root }) => {
    const sh = (line: string): Promise<Ran> => within(root, cluster.dir, line, cluster.env('joe'));

    it('runs a command, and says nothing of its own', async () => {
      const ran = await sh(`ssh -F ${config} ${host} 'echo out; echo err >&2; exit 3'`);
      expect(ran).toMatchObject({ code: 3, stdout: 'out\n', stderr: 'err\n' });
    });
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
    it('copies by scp, the old protocol too, by sftp and by rsync', async () => {
      const dir = join(cluster.dir, `copies-${version}`);
      mkdirSync(join(dir, 'tree'), { recursive: true });
      const data = randomBytes(300_000);
      writeFileSync(join(dir, 'tree', 'a b'), data, { mode: 0o640 });
      const old = Number(version) < 8.7 ? 'scp' : 'scp -O';
      writeFileSync(join(dir, 'batch'), `put -r ${dir}/tree ${dir}/by-sftp\n`);
      const ran = await sh(
        [
          `scp -q -r -p -F ${config} ${dir}/tree ${host}:${dir}/by-scp`,
          `scp -q -r -p -F ${config} ${host}:${dir}/by-scp ${dir}/back`,
          `${old} -q -r -p -F ${config} ${dir}/tree ${host}:${dir}/by-old`,
          `ssh -F ${config} ${host} mkdir ${dir}/by-sftp`,
          `sftp -q -F ${config} -b ${dir}/batch ${host} > /dev/null`,
          `rsync -a -e 'ssh -F ${config}' ${dir}/tree ${host}:${dir}/by-rsync`,
        ].join(' && '),
      );
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      for (const place of ['by-scp', 'back', 'by-old', 'by-sftp/tree', 'by-rsync/tree'])
        expect(digest(readFileSync(join(dir, place, 'a b'))), place).toBe(digest(data));
    });
    it('reads our certificates and host keys', async () => {
      const { stdout } = await sh('ssh-keygen -L -f "$(find . -name "*-cert.pub" | head -n 1)"');
      expect(stdout).toMatch(/Type: ssh-ed25519-cert-v01@openssh.com user certificate[^]*Key ID: "joe"/);
      for (const port of [cluster.ports.proxySsh, cluster.ports.ssh])
        expect((await sh(`ssh-keyscan -p ${port} 127.0.0.1`)).stdout).toMatch(/ssh-ed25519 AAAA/);
    });
  });
});
