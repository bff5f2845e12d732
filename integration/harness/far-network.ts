import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ownNumber } from './own-ports.ts';
import { ended, run } from './run-program.ts';

/** A machine behind NAT, at the other end of a long link. It reaches this machine; nobody reaches it. */
export interface FarNetwork {
  /** Our end of the link, by which the machine reaches us. */
  readonly here: string;
  /** argv before a program that runs there. */
  readonly within: readonly string[];
  /** From now on every packet is lost, or none but those that the link always loses. */
  stall(state: 'stall' | 'go'): void;
  close(): Promise<void>;
}

async function sh(what: string, ...args: string[]): Promise<void> {
  const ran = await run(what, args);
  if (ran.code !== 0)
    throw new Error(
      `this test needs root, network namespaces, TUN devices and nft: ${what} ${args.join(' ')}: ${ran.stderr}`,
    );
}
const ip = (...args: string[]): Promise<void> => sh('ip', ...args);

const ownLink = ownNumber('far link', 200);

/** What every packet goes over. Both are those of one direction. */
export interface LongLink {
  readonly delayMs: number;
  readonly lossPercent: number;
}

/** Two namespaces: the router, which has the link and hides what is behind it, and the machine. */
export async function createFarNetwork({ delayMs, lossPercent }: LongLink): Promise<FarNetwork> {
  const own = await ownLink;
  const [router, machine] = [`tp${process.pid}r`, `tp${process.pid}m`];
  const [near, far, cable] = [`tpl${own}`, `tpr${own}`, `tpc${own}`];
  const [here, there] = [`10.214.${own}.1`, `10.214.${own}.2`];
  const inRouter = ['-n', router] as const;
  for (const name of [router, machine]) await ip('netns', 'add', name);
  const link = spawn(
    'python3',
    ['integration/harness/far-link.py', near, far, router, String(delayMs), String(lossPercent)],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const close = async (): Promise<void> => {
    link.stdin.end();
    await ended(link);
    for (const name of [router, machine]) await ip('netns', 'del', name);
  };
  try {
    await Promise.race([
      once(link.stdout, 'data'),
      once(link, 'exit').then(() => Promise.reject(new Error('the link could not be made: see above'))),
    ]);
    await ip('addr', 'add', here, 'peer', there, 'dev', near);
    await ip('link', 'set', near, 'up');
    await ip(...inRouter, 'addr', 'add', there, 'peer', here, 'dev', far);
    await ip(...inRouter, 'link', 'set', far, 'up');
    await ip(...inRouter, 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'home', 'netns', machine);
    await ip(...inRouter, 'addr', 'add', '192.168.77.1/24', 'dev', cable);
    await ip(...inRouter, 'link', 'set', cable, 'up');
    for (const args of [
      ['link', 'set', 'lo', 'up'],
      ['addr', 'add', '192.168.77.2/24', 'dev', 'home'],
      ['link', 'set', 'home', 'up'],
      ['route', 'add', 'default', 'via', '192.168.77.1'],
    ])
      await ip('-n', machine, ...args);
    await ip('netns', 'exec', router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    await ip(
      'netns',
      'exec',
      router,
      'nft',
      [
        'table ip nat { chain out { type nat hook postrouting priority 100; oifname ' +
          far +
          ' masquerade; }; };',
        'table ip guard { chain in { type filter hook forward priority 0; policy drop;',
        `iifname ${cable} accept; ct state established,related accept; }; };`,
      ].join(' '),
    );
  } catch (e) {
    await close();
    throw e;
  }
  return {
    here,
    within: ['ip', 'netns', 'exec', machine],
    stall: (state) => {
      link.stdin.write(`${state}\n`);
    },
    close,
  };
}
