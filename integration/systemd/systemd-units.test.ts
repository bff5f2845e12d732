import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import type { Machine } from './machine.ts';
import { systemdRoots } from './roots.ts';
import { bootInstalled, createRoot, logIn, mainPidOf, processesOf, writeConfiguration } from './service.ts';

const project = resolve('.');
const token = 'static-token-of-this-test';
const authConfiguration = (dataDir: string): string => `teleport:
  nodename: auth1
  data_dir: ${dataDir}
auth_service:
  cluster_name: example
  tokens: ["proxy:${token}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`;
const proxyConfiguration = `teleport:
  nodename: proxy1
  data_dir: /var/lib/teleport
  auth_servers: ["127.0.0.1:3025"]
  auth_token: ${token}
auth_service: {enabled: no}
ssh_service: {enabled: no}
proxy_service: {public_addr: localhost:3080}
`;

describe.each(await systemdRoots())('systemd $version', ({ root, version }) => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await bootInstalled(root);
  }, 120_000);
  afterAll(() => machine.close());

  const coresOf = (pid: number): Promise<string> =>
    machine.must(`grep -E '^Max core file size' /proc/${pid}/limits`);

  describe('teleport.service', () => {
    it('shuts nothing in that the shells of people would inherit, and writes no core', async () => {
      await writeConfiguration(machine, authConfiguration('/var/lib/shells'));
      await machine.must('systemctl start teleport');
      const pid = await mainPidOf(machine, 'teleport');
      const status = await machine.must(`cat /proc/${pid}/status /proc/1/status`);
      const [ours, systemds] = [...status.matchAll(/^CapBnd:\t(.*)$/gm)].map(([, bounds]) => bounds);
      expect(ours).toBe(systemds);
      expect(status).toMatch(/^NoNewPrivs:\t0$/m);
      expect(status).toMatch(/^Seccomp:\t0$/m);
      expect(await coresOf(pid)).toMatch(/size +0 +unlimited /);
      await machine.must('systemctl stop teleport');
    });
  });

  describe('teleport-auth.service', () => {
    it('serves, shut in', async () => {
      await writeConfiguration(machine, authConfiguration('/var/lib/teleport'));
      const started = await machine.sh('systemctl start teleport-auth');
      expect(
        `${String(started.code)} ${started.code === 0 ? '' : await machine.must('journalctl -u teleport-auth -o cat')}`,
      ).toBe('0 ');
      expect(await machine.show('teleport-auth', 'ActiveState')).toBe('active');
      expect(await machine.must('tctl status')).toContain('example');
      const pid = await mainPidOf(machine, 'teleport-auth');
      expect(await machine.must(`grep -E 'NoNewPrivs|CapBnd' /proc/${pid}/status`)).toMatch(
        /CapBnd:\s+0+\nNoNewPrivs:\s+1/,
      );
      expect(await coresOf(pid)).toMatch(/size +0 +0 /);
      await machine.must('systemctl reload teleport-auth');
      await until('another main process', async () =>
        (await mainPidOf(machine, 'teleport-auth')) !== pid ? true : undefined,
      );
      await machine.must('systemctl stop teleport-auth');
      expect(await processesOf(machine, 'teleport-auth')).toEqual([]);
    });
  });

  describe('teleport-proxy.service', () => {
    it('serves, shut in, on a machine that joins', async () => {
      await writeConfiguration(machine, authConfiguration('/var/lib/elsewhere'));
      await machine.must(
        'rm -rf /var/lib/teleport && mv /etc/teleport.yaml /etc/elsewhere.yaml && ' +
          'systemd-run --unit=elsewhere --service-type=notify --property=NotifyAccess=all ' +
          '/usr/local/bin/teleport start --config=/etc/elsewhere.yaml',
      );
      await writeConfiguration(machine, proxyConfiguration);
      const started = await machine.sh('systemctl start teleport-proxy');
      expect(
        `${String(started.code)} ${started.code === 0 ? '' : await machine.must('journalctl -u teleport-proxy -o cat')}`,
      ).toBe('0 ');
      expect(await machine.show('teleport-proxy', 'StatusText')).toBe('serving');
      const pid = await mainPidOf(machine, 'teleport-proxy');
      expect(Number(await machine.must('cat /run/teleport-proxy/teleport.pid'))).toBe(pid);
      // CAP_NET_BIND_SERVICE and nothing else; no homes, and nothing to write to but what is its own.
      expect(await machine.must(`grep -E 'NoNewPrivs|CapBnd' /proc/${pid}/status`)).toMatch(
        /CapBnd:\s+0+400\nNoNewPrivs:\s+1/,
      );
      expect(await coresOf(pid)).toMatch(/size +0 +0 /);
      expect(
        await machine.must(`ls -A /proc/${pid}/root/root /proc/${pid}/root/home | grep -v : || true`),
      ).toBe('');
      expect((await machine.sh(`nsenter -t ${pid} -m touch /usr/local/x /etc/x`)).stderr).toMatch(
        /usr\/local\/x.*Read-only[^]*etc\/x.*Read-only/,
      );
      await createRoot(machine, '/etc/elsewhere.yaml');
      await logIn(machine);
      expect(await machine.must('curl -sk https://localhost:3080/webapi/ping')).toContain('server_version');
      await machine.must('systemctl reload teleport-proxy');
      await until('another main process', async () =>
        (await mainPidOf(machine, 'teleport-proxy')) !== pid ? true : undefined,
      );
      await until('the old process to be gone', async () =>
        (await processesOf(machine, 'teleport-proxy')).length === 1 ? true : undefined,
      );
      expect(await machine.must('curl -sk https://localhost:3080/webapi/ping')).toContain('server_version');
      expect(await machine.must('journalctl -u teleport-proxy -o cat')).not.toContain(token);
      await machine.must('systemctl stop teleport-proxy elsewhere');
      expect(await processesOf(machine, 'teleport-proxy')).toEqual([]);
      expect(await machine.show('teleport-proxy', 'Result')).toBe('success');
    });
  });

  const dropIn = '/etc/systemd/system/teleport.service.d/notify-reload.conf';
  const withDropIn = async (act: () => Promise<void>): Promise<void> => {
    await machine.must(
      `install -D -m 0644 ${project}/examples/systemd/teleport.service.d/notify-reload.conf ${dropIn}`,
    );
    await machine.must('systemctl daemon-reload');
    await act();
    await machine.must(`rm ${dropIn} && systemctl daemon-reload`);
  };

  describe('the units as systemd reads them', () => {
    it('have nothing that it does not understand', async () => {
      const units = [
        'teleport.service',
        'teleport-auth.service',
        'teleport-proxy.service',
        'teleport-web.socket',
      ];
      const verified = await machine.sh(`systemd-analyze verify --recursive-errors=no ${units.join(' ')}`);
      expect(`${String(verified.code)}${verified.stdout}${verified.stderr}`).toBe('0');
    });

    it.skipIf(version < 253)('reload and wait with the drop-in notify-reload.conf', () =>
      withDropIn(async () => {
        await writeConfiguration(machine, authConfiguration('/var/lib/notified'));
        await machine.must('systemctl start teleport');
        expect(await machine.show('teleport', 'Type')).toBe('notify-reload');
        const from = await mainPidOf(machine, 'teleport');
        await machine.must('systemctl reload teleport');
        const to = await mainPidOf(machine, 'teleport');
        expect(to).not.toBe(from);
        // systemd knows no reload that failed: it is told by the status, as soon as the command returns.
        await machine.must('echo "broken: [" >> /etc/teleport.yaml && systemctl reload teleport');
        expect(await mainPidOf(machine, 'teleport')).toBe(to);
        expect(await machine.show('teleport', 'StatusText')).toMatch(
          /^serving; the last reload failed: \/etc\/teleport\.yaml:\d+/,
        );
        await machine.must('systemctl stop teleport');
      }),
    );

    it.runIf(version < 253)('have one word in notify-reload.conf that is too new for this systemd', () =>
      withDropIn(async () => {
        const verified = await machine.sh('systemd-analyze verify --recursive-errors=no teleport.service');
        const said = `${verified.stdout}${verified.stderr}`.trim().split('\n');
        expect(said).toEqual([
          expect.stringMatching(
            /notify-reload\.conf:\d+: Failed to parse service type, ignoring: notify-reload/,
          ),
        ]);
        // Its other setting counts: the unit itself sends no second HUP.
        expect(await machine.show('teleport', 'ExecReload')).toBe('');
      }),
    );
  });
});
