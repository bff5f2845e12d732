import { run } from './run-program.ts';
import { ownNumber } from './own-ports.ts';

/** A machine's own network: a namespace, and a cable to this one. */
export interface Network {
  readonly name: string;
  /** Our end of the cable, and theirs. */
  readonly here: string;
  readonly there: string;
  readonly within: readonly string[];
  /** Gives their end the other of its two addresses, as a new lease does. Answers it. */
  readdress(): Promise<string>;
  /** Plugs the cable in or out. Connections notice nothing but silence. */
  plug(state: 'up' | 'down'): Promise<void>;
  close(): Promise<void>;
}

async function ip(...args: string[]): Promise<void> {
  const ran = await run('ip', args);
  if (ran.code !== 0)
    throw new Error(`this test needs root and network namespaces: ip ${args.join(' ')}: ${ran.stderr}`);
}

/** Of this process, among those that test on this machine. */
const ownNetwork = ownNumber('network', 256);

export async function createNetwork(index: number): Promise<Network> {
  const own = await ownNetwork;
  const name = `tp${process.pid}n${index}`;
  const cable = { here: `tpa${own}n${index}`, there: `tpb${own}n${index}` };
  const net = `10.213.${own}`;
  const [here, there, spare] = [1, 2, 3].map((n) => `${net}.${index * 8 + n}`) as [string, string, string];
  await ip('netns', 'add', name);
  await ip('link', 'add', cable.here, 'type', 'veth', 'peer', 'name', cable.there);
  await ip('link', 'set', cable.there, 'netns', name);
  await ip('addr', 'add', `${here}/29`, 'dev', cable.here);
  await ip('link', 'set', cable.here, 'up');
  await ip('-n', name, 'addr', 'add', `${there}/29`, 'dev', cable.there);
  await ip('-n', name, 'link', 'set', cable.there, 'up');
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  let now: readonly [string, string] = [there, spare];
  return {
    name,
    here,
    there,
    within: ['ip', 'netns', 'exec', name],
    readdress: async () => {
      const [from, to] = now;
      now = [to, from];
      await ip('-n', name, 'addr', 'del', `${from}/29`, 'dev', cable.there);
      await ip('-n', name, 'addr', 'add', `${to}/29`, 'dev', cable.there);
      return to;
    },
    plug: (state) => ip('link', 'set', cable.here, state),
    close: () => ip('netns', 'del', name),
  };
}
