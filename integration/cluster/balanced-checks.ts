import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connectSsh } from '../../src/ssh/cert-client.ts';
import { linkIn } from '../harness/cluster.ts';
import { createFirstUser, password } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { now, userIdentity } from '../ssh/ssh-workbench.ts';
import { type Balanced, balancerAddress, login, stockSsh } from './behind-balancer.ts';
import { forgePerson, sshByWay } from './forged-person.ts';

/** How a balancer passes people on. */
export interface BalancedMode {
  readonly balancer: string;
  readonly proxy: string;
  /** Whether proxies learn who the client is. */
  readonly names: boolean;
}

const field = (page: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1] ?? '';
const hostOf = (event: Record<string, unknown> | undefined): string =>
  String(event?.['addr.remote']).replace(/:\d+$/, '');

/** What everybody can do through a balancer, and what the audit has of it. One after the other. */
export function checkMode(balanced: () => Balanced, { balancer, proxy, names }: BalancedMode): void {
  const user = `joe-${balancer.replace(/\W/g, '-')}`;
  /** As proxies see a client with that address. */
  const seen = (address: string): string => (names ? address : balancerAddress);
  const newest = async (type: string, of: string): Promise<Record<string, unknown> | undefined> =>
    (await balanced().events(type)).findLast((event) => event['user'] === of);

  it('people are invited, log in and reach nodes, each request by another proxy', async () => {
    const { serve, people, proxies, metric } = balanced();
    await serve(balancer, proxy);
    await createFirstUser(people, user, { logins: [login] });
    const loggedIn = await newest('user.login', user);
    expect(hostOf(loggedIn)).toBe(seen('127.0.0.1'));
    // Both are kept: who told the address, too.
    expect(String(loggedIn?.['addr.balancer']).startsWith(`${balancerAddress}:`)).toBe(names);
    for (let n = 0; n < 2; n++) {
      const { stdout, stderr } = await people.tsh(user, ['ssh', `${login}@node1`, 'echo $SSH_CLIENT']);
      expect(`${stdout.split(' ')[0] ?? ''}${stderr}`).toBe(seen('127.0.0.1'));
    }
    const session = await newest('session.start', user);
    expect(hostOf(session)).toBe(seen('127.0.0.1'));
    expect(String(session?.['addr.balancer']).startsWith(`${balancerAddress}:`)).toBe(names);
    for (const one of proxies) expect(await metric(one, 'proxy_ssh_connections_total')).toBeGreaterThan(0);
  });

  it('stock ssh comes through it, from where it is', async () => {
    const { stdout, stderr } = await stockSsh(balanced(), user, '127.0.0.31', 'echo $SSH_CLIENT');
    expect(`${stdout.split(' ')[0] ?? ''}${stderr}`).toBe(seen('127.0.0.31'));
    await until('the session in the audit', async () =>
      hostOf(await newest('session.start', user)) === seen('127.0.0.31') ? true : undefined,
    );
  });

  it('a certificate that is bound to an address is good from there alone', async () => {
    const { cluster, nodePort, sshPort } = balanced();
    const at = { dataDir: cluster.auth.dataDir, authPort: cluster.authPort };
    const own = await forgePerson(at, join(cluster.fleet.dir, `bound-${user}`), {
      username: user,
      criticalOptions: { 'source-address': '127.0.0.71/32' },
    });
    const from = (address: string): Promise<Ran> =>
      run('ssh', sshByWay(own, sshPort, { name: 'node1', port: nodePort }, 'echo in', ['-b', address]));
    const [right, wrong] = [await from('127.0.0.71'), await from('127.0.0.72')];
    expect(right.stdout).toBe(names ? 'in\n' : '');
    expect([wrong.stdout, wrong.code]).toEqual(['', 255]);
    const refused = await until('the refusal in the audit', async () => newest('auth', user));
    expect([refused['error'], hostOf(refused)]).toEqual([
      expect.stringContaining('source-address'),
      seen('127.0.0.72'),
    ]);
  });

  it('what is upgraded on the web port comes from where it is', async () => {
    const { upgraded } = balanced();
    const refusal = connectSsh({
      ...{ target: { stream: await upgraded('127.0.0.61') }, username: `${user}-upgraded`, now },
      ...{ identities: [userIdentity('ed25519')], hostAuthorities: () => [], hostPrincipals: [] },
      acceptUnknownHost: () => true,
    });
    await expect(refusal).rejects.toMatchObject({ code: 'access_denied' });
    const refused = await until('the refusal in the audit', async () =>
      (await balanced().events('auth')).find((event) => event['login'] === `${user}-upgraded`),
    );
    expect(hostOf(refused)).toBe(seen('127.0.0.61'));
    expect(String(refused['addr.balancer']).startsWith(`${balancerAddress}:`)).toBe(names);
  });

  it('the form of an invite is shown by one proxy and taken by the other', async () => {
    const { people, ask } = balanced();
    const added = await people.tctl('users', 'add', `${user}-form`, login);
    const { pathname } = new URL(linkIn(added.stdout));
    const shown = await ask(pathname, { from: '127.0.0.21' });
    expect(shown.status).toBe(200);
    const cookie = String(shown.headers['set-cookie']).split(';')[0] ?? '';
    expect(cookie).toMatch(/^__Host-grv_csrf=/);
    const form = new URLSearchParams({
      ...{ csrf: field(shown.body, 'csrf'), username: field(shown.body, 'username') },
      ...{ purpose: field(shown.body, 'purpose'), password, again: password },
    });
    const taken = await ask(pathname, {
      ...{ from: '127.0.0.21', method: 'POST', body: form.toString() },
      headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect([taken.status, taken.body]).toEqual([200, expect.stringContaining(`${user}-form`)]);
    expect((await balanced().tryPassword(`${user}-form`, password, '127.0.0.21')).status).toBe(200);
    expect(hostOf(await newest('user.login', `${user}-form`))).toBe(seen('127.0.0.21'));
  });

  it('wrong passwords count in all, whichever proxy they come by', async () => {
    const { tryPassword } = balanced();
    for (let n = 0; n < 5; n++)
      expect((await tryPassword(user, 'a wrong one', '127.0.0.41')).status).toBe(403);
    // The right one, from there: five from one address are enough for it.
    expect((await tryPassword(user, password, '127.0.0.41')).status).toBe(403);
    const elsewhere = (await tryPassword(user, password, '127.0.0.42')).status;
    // Where all have one address, all are locked out by one.
    expect(elsewhere).toBe(names ? 200 : 403);
    const failures = (await balanced().events('user.login')).filter(
      (event) => event['user'] === user && event['success'] === false,
    );
    expect(new Set(failures.map(hostOf))).toEqual(new Set([seen('127.0.0.41')]));
  });

  it('nobody makes himself another address', async () => {
    const { tryPassword, proxies, metric } = balanced();
    const forged = { 'x-forwarded-for': '198.51.100.66', 'x-real-ip': '198.51.100.66' };
    expect((await tryPassword(`${user}-form`, 'wrong', '127.0.0.51', forged)).status).toBe(403);
    expect(hostOf(await newest('user.login', `${user}-form`))).toBe(seen('127.0.0.51'));
    // Around the balancer, with a header of his own.
    const [{ ports }] = proxies as [(typeof proxies)[number]];
    const header = 'PROXY TCP4 198.51.100.66 10.0.0.1 4711 443\r\n';
    const before = await Promise.all(proxies.map((one) => metric(one, 'proxy_protocol_refused_total')));
    const sent = await run('curl', ['-sS', '-m', '5', `telnet://127.0.0.1:${ports.ssh}`], {
      input: `${header}SSH-2.0-x\r\n`,
    });
    expect(sent.stdout).not.toContain('node1');
    const after = await Promise.all(proxies.map((one) => metric(one, 'proxy_protocol_refused_total')));
    expect(after[0]).toBe((before[0] ?? 0) + 1);
  });
}
