import { execFileSync } from 'node:child_process';
import { unpackPackages } from '../harness/debian-packages.ts';

/** Files to boot a systemd on. */
export interface SystemdRoot {
  readonly version: number;
  readonly root: string;
}

/** systemd with the programs that our tests and units call: what a small Debian has beside it. */
const packages = [
  ...['systemd', 'base-files', 'base-passwd', 'libc-bin', 'bash', 'dash', 'bsdutils', 'coreutils', 'curl'],
  ...['findutils', 'grep', 'hostname', 'iproute2', 'login', 'mawk', 'passwd', 'procps', 'sed', 'util-linux'],
  ...['libstdc++6', 'libatomic1'],
];

function versionIn(root: string): number {
  const said = execFileSync('chroot', [root, 'systemctl', '--version'], { encoding: 'utf8' });
  return Number(/^systemd (\d+)/.exec(said)?.[1]);
}

/** This machine's own, and that of Debian 13 where it can be had. */
export async function systemdRoots(): Promise<SystemdRoot[]> {
  const other = await unpackPackages('trixie', packages, { dependencies: true });
  const roots = ['/', ...(other === undefined ? [] : [other])];
  return roots.map((root) => ({ version: versionIn(root), root }));
}
