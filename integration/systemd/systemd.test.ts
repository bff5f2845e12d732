import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { loadRest, type Tally } from '../restart/restart-load.ts';
import type { Machine } from './machine.ts';
import { systemdRoots } from './roots.ts';
import { bootInstalled, createRoot, logIn, mainPidOf, processesOf, writeConfiguration } from './service.ts';

const project = resolve('.');
const node = process.execPath;
/** `make soak` asks for more. */
const reloads = Number(process.env['RELOADS'] ?? 4);
const configuration = `teleport:
  nodename: node1
  data_dir: /var/lib/teleport
auth_service:
  cluster_name: example
  authentication: {second_factor: off}
ssh_service: {}
proxy_service: {public_addr: localhost:3080}
`;

describe.each(await systemdRoots())('systemd $version', ({ root }) => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await bootInstalled(root);
  }, 120_000);
  afterAll(() => machine.close());

  const configure = (text: string): Promise<string> => writeConfiguration(machine, text);
  const mainPid = (): Promise<number> => mainPidOf(machine, 'teleport');
  const processes = (): Promise<number[]> => processesOf(machine, 'teleport');

  /** Reloads, and waits until another process is the main one. */
  async function reload(): Promise<{ from: number; to: number }> {
    const from = await mainPid();
    await machine.must('systemctl reload teleport');
    const to = await until('another main process', async () => {
      const now = await mainPid();
      return now !== from && now !== 0 ? now : undefined;
    });
    await until('the unit to be done with it', async () =>
      (await machine.show('teleport', 'ActiveState')) === 'active' ? true : undefined,
    );
    return { from, to };
  }

  /** A shell that stays, on the node, through the proxy. */
  function openSession(): { echo(text: string): Promise<void>; end(): void } {
    const child = machine.start('tsh ssh -t root@node1 cat');
    let text = '';
    child.stdout?.on('data', (data: Buffer) => (text += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (text += data.toString()));
    return {
      echo: async (line) => {
        child.stdin?.write(`${line}\n`);
        await until(`the session to answer ${line}, it said ${text}`, () =>
          text.split(line).length >= 3 ? true : undefined,
        );
      },
      end: () => child.stdin?.write('\x04'),
    };
  }

  describe('teleport.service', () => {
    it('starts, is active when it serves, and writes to the journal', async () => {
      await configure(configuration);
      await machine.must('systemctl enable teleport && systemctl start teleport');
      expect(await machine.show('teleport', 'ActiveState')).toBe('active');
      expect(await machine.show('teleport', 'StatusText')).toBe('serving');
      expect(Number(await machine.must('cat /run/teleport.pid'))).toBe(await mainPid());
      expect(await machine.must('curl -sk https://localhost:3080/webapi/ping')).toContain('server_version');
      expect(await machine.must('journalctl -u teleport -o cat')).toContain('[NODE]');
      await createRoot(machine);
      await logIn(machine);
    });

    it('writes its diagnostics to the journal, once', async () => {
      await machine.must('systemctl kill --kill-whom=main -s USR1 teleport');
      const found = (text: string): Promise<string> =>
        machine.must(`journalctl -o cat | grep -c '${text}' || true`);
      await until('the last line of them', async () =>
        (await found('SIGUSR1: service service="node"')) === '0' ? undefined : true,
      );
      // Syslog leads to the journal too: after what was sent there, all of it is in.
      await machine.must('logger marked && journalctl --sync');
      expect(await found('SIGUSR1: diagnostics')).toBe('1');
      expect(await found('the diagnostics are in')).toBe('0');
    });

    it(
      `reloads ${reloads} times under load and refuses, resets and fails nobody`,
      { timeout: 300_000 },
      async () => {
        const load = machine.start(
          `LOAD_REST=${loadRest} exec ${node} --disable-warning=ExperimentalWarning ${project}/integration/systemd/load.ts 3025 3022 3023 3080`,
        );
        let said = '';
        load.stdout?.on('data', (data: Buffer) => (said += data.toString()));
        load.stderr?.on('data', (data: Buffer) => (said += data.toString()));
        const ended = new Promise((done) => load.once('close', done));
        await until('the load to begin', () => (said.startsWith('started') ? true : undefined));
        for (let n = 0; n < reloads; n++) await reload();
        await machine.sh('pkill -TERM -f integration/systemd/load.ts');
        await ended;
        const tallies = JSON.parse(said.split('\n')[1] ?? '') as Record<string, Tally>;
        console.log(
          `${reloads} reloads by systemctl on ${root}`,
          Object.entries(tallies)
            .map(([name, { done, failures }]) => `${name}: ${done} done, ${failures.length} failed`)
            .join('; '),
        );
        expect(Object.values(tallies).flatMap(({ failures }) => failures)).toEqual([]);
        await until('the old processes to be gone', async () =>
          (await processes()).length === 1 ? true : undefined,
        );
        expect(Number(await machine.must('cat /run/teleport.pid'))).toBe(await mainPid());
        // systemd does not watch over, nor wait for, what is not its child.
        expect(await machine.must('journalctl -u teleport -o cat')).not.toContain('not our child');
      },
    );

    it('goes on when a reload fails, and says so in its status', async () => {
      const before = await mainPid();
      await configure(`${configuration}broken: [\n`);
      await machine.must('systemctl reload teleport');
      await until('the status to say so', async () =>
        /last reload failed: \/etc\/teleport\.yaml:\d+/.test(await machine.must('systemctl status teleport'))
          ? true
          : undefined,
      );
      expect(await machine.show('teleport', 'ActiveState')).toBe('active');
      expect(await mainPid()).toBe(before);
      await configure(configuration);
    });

    it('keeps a draining session when the main process is killed, and starts a new main process', async () => {
      const session = openSession();
      await session.echo('before');
      const { from, to } = await reload();
      await session.echo('drained');
      await machine.must(`kill -9 ${to}`);
      await until('a new main process', async () => {
        const now = await mainPid();
        return now !== 0 && now !== to && (await machine.show('teleport', 'ActiveState')) === 'active'
          ? true
          : undefined;
      });
      expect(await processes()).toContain(from);
      await session.echo('survived');
      session.end();
      await until('the drained process to leave', async () =>
        (await processes()).includes(from) ? undefined : true,
      );
    });

    it('stops everything, a draining process with its session too', async () => {
      const session = openSession();
      await session.echo('here');
      const { from } = await reload();
      expect(await processes()).toContain(from);
      await machine.must('systemctl stop teleport');
      await until('no process to be left', async () => ((await processes()).length === 0 ? true : undefined));
      expect(await machine.show('teleport', 'Result')).toBe('success');
    });

    it('restarts, and gives a crash loop up', { timeout: 120_000 }, async () => {
      await machine.must('systemctl start teleport && systemctl restart teleport');
      expect(await machine.show('teleport', 'ActiveState')).toBe('active');
      await machine.must('systemctl stop teleport');
      await configure('broken: [\n');
      expect((await machine.sh('systemctl start teleport')).code).not.toBe(0);
      await until(
        'systemd to give it up',
        async () => ((await machine.show('teleport', 'ActiveState')) === 'failed' ? true : undefined),
        60_000,
      );
      expect(await machine.must('journalctl -u teleport -o cat')).toContain(
        'Start request repeated too quickly',
      );
      await configure(configuration);
      await machine.must('systemctl reset-failed teleport');
    });
  });

  describe('teleport-web.socket', () => {
    it('keeps the web port open while the daemon is down', async () => {
      await machine.must('systemctl start teleport-web.socket && systemctl start teleport');
      expect(await machine.must('curl -sk https://localhost:3080/webapi/ping')).toContain('server_version');
      await machine.must(`kill -9 ${await mainPid()}`);
      const answer = await machine.must('curl -sk --max-time 30 https://localhost:3080/webapi/ping');
      expect(answer).toContain('server_version');
      await machine.must('systemctl stop teleport teleport-web.socket');
    });
  });
});
