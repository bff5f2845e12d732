import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { writeFileAtomic } from '../../src/base/files.ts';
import { type DebianRelease, unpackPackages } from '../harness/debian-packages.ts';
import { type Ran, run } from '../harness/run-program.ts';

const project = resolve('.');

/** The programs of OpenSSH and rsync as another Debian release has them. */
export interface ReleaseClients {
  /** Of OpenSSH: `9.9`. */
  readonly version: string;
  /** Runs a shell line there, in a folder of this machine. */
  sh(directory: string, line: string, env?: NodeJS.ProcessEnv): Promise<Ran>;
}

const packages = [
  'openssh-client',
  'rsync',
  'libstdc++6',
  'base-files',
  'bash',
  'dash',
  'coreutils',
  'findutils',
];

/** A root with nothing but these programs and what they need; undefined where they cannot be had. */
async function clientsOf(release: DebianRelease): Promise<ReleaseClients | undefined> {
  const root = await unpackPackages(release, packages, { dependencies: true });
  if (root === undefined) return undefined;
  // What the scripts of the packages would have made: whole at any moment, since other files of tests use it.
  writeFileAtomic(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n', 0o644);
  writeFileAtomic(join(root, 'etc/hosts'), '127.0.0.1 localhost\n', 0o644);
  const { stderr } = await within(root, '/', 'ssh -V');
  return {
    version: /OpenSSH_(\d+\.\d+)/.exec(stderr)?.[1] ?? stderr,
    sh: (directory, line, env) => within(root, directory, line, env),
  };
}

/**
 * Runs a shell line in mount namespaces of its own: on that root, with the scratch files, the project and
 * devices of here.
 */
const within = (root: string, directory: string, line: string, env?: NodeJS.ProcessEnv): Promise<Ran> =>
  run(
    'unshare',
    ['--mount', '--propagation=private', 'sh', '-c', entering, root, project, directory, line],
    // Where this machine has more authorities, there is no such file.
    env && { env: { ...env, NODE_EXTRA_CA_CERTS: undefined } },
  );
const entering = `
set -e
for path in /dev /tmp "$1"; do mkdir -p "$0$path"; mount --rbind "$path" "$0$path"; done
mkdir -p "$0/proc"
mount -t proc proc "$0/proc"
node=$(readlink -f "$1/.tools/node/bin/node")
[ -s "$0$node" ] || { mkdir -p "$0$(dirname "$node")"; touch "$0$node"; mount --bind "$node" "$0$node"; }
exec chroot "$0" /bin/sh -c 'cd "$0" && eval "$1"' "$2" "$3"
`;

/**
 * Older and newer than this machine's. Where one cannot be had, that is printed, and it is not among them.
 */
export const clientsOfOtherReleases = async (): Promise<readonly ReleaseClients[]> =>
  (await Promise.all((['bullseye', 'trixie', 'forky'] as const).map(clientsOf))).filter(
    (one) => one !== undefined,
  );

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Where clients go: by this configuration, to this host, from the folder of somebody's tests. */
export interface Destination {
  readonly config: string;
  readonly host: string;
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
}

/** All that these do by one way. */
export async function expectToGo(found: readonly ReleaseClients[], to: Destination): Promise<void> {
  mkdirSync(to.dir);
  for (const clients of found) {
    await expectToRun(clients, to);
    await expectToCopy(clients, to);
  }
}

/** A command says what it says, with its streams and its end, and nothing is added. */
export async function expectToRun(clients: ReleaseClients, to: Destination): Promise<void> {
  const ran = await clients.sh(
    to.dir,
    `ssh -F ${to.config} ${to.host} 'echo out; echo err >&2; exit 3'`,
    to.env,
  );
  expect(ran).toMatchObject({ code: 3, stdout: 'out\n', stderr: 'err\n' });
}

/** A folder arrives as it is by scp, both of its protocols and both ways, by sftp and by rsync. */
export async function expectToCopy(clients: ReleaseClients, to: Destination): Promise<void> {
  const { config, host, env } = to;
  const dir = join(to.dir, `copies-${clients.version}`);
  mkdirSync(join(dir, 'tree'), { recursive: true });
  const data = randomBytes(300_000);
  writeFileSync(join(dir, 'tree', 'a b'), data, { mode: 0o640 });
  const old = Number(clients.version) < 8.7 ? 'scp' : 'scp -O';
  writeFileSync(join(dir, 'batch'), `put -r ${dir}/tree ${dir}/by-sftp\n`);
  const ran = await clients.sh(
    to.dir,
    [
      `scp -q -r -p -F ${config} ${dir}/tree ${host}:${dir}/by-scp`,
      `scp -q -r -p -F ${config} ${host}:${dir}/by-scp ${dir}/back`,
      `${old} -q -r -p -F ${config} ${dir}/tree ${host}:${dir}/by-old`,
      `ssh -F ${config} ${host} mkdir ${dir}/by-sftp`,
      `sftp -q -F ${config} -b ${dir}/batch ${host} > /dev/null`,
      `rsync -a -e 'ssh -F ${config}' ${dir}/tree ${host}:${dir}/by-rsync`,
    ].join(' && '),
    env,
  );
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  for (const place of ['by-scp', 'back', 'by-old', 'by-sftp/tree', 'by-rsync/tree'])
    expect(digest(readFileSync(join(dir, place, 'a b'))), place).toBe(digest(data));
}
