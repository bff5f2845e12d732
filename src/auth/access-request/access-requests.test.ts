import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../api/operation.ts';
import { hour } from '../../base/time.ts';
import { roleSpec } from '../../domain/role-spec.ts';
import { serialOfX509, serialText } from '../../pki/serial.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { tlsIdentityOf } from '../../pki/tls-identity.ts';
import { requestedRolesOf, userIdentityOf } from '../../pki/user-certificate.ts';
import { guard } from '../../api/guard.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { createLock } from '../lock/create-lock.ts';
import { deleteLock } from '../lock/delete-lock.ts';
import { explainAccess } from '../access/explain-access.ts';
import { deleteResource } from '../resource/delete-resource.ts';
import { listResources } from '../resource/list-resources.ts';
import type { AuthDeps } from '../deps.ts';
import { rulesOf } from '../rules-of.ts';
import {
  addRole,
  addUser,
  adminCall,
  callOf,
  hostCall,
  newKeyLine,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from '../testing.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { certifyAccessRequest } from './certify-access-request.ts';
import { createAccessRequest } from './create-access-request.ts';
import { deleteAccessRequest } from './delete-access-request.ts';
import { listAccessRequests } from './list-access-requests.ts';
import { readAccessRequest } from './read-access-request.ts';
import { resolveAccessRequest } from './resolve-access-request.ts';

let auth: TestAuth;
const role = (name: string, more: object = {}) =>
  addRole(auth, roleSpec.parse({ name, options: {}, allow: {}, deny: {}, ...more }));

beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
  await role('dev', {
    allow: { logins: ['{{internal.logins}}'], nodeLabels: { env: ['dev'] } },
    request: { allow: { roles: ['dba', 'ops'], annotations: { team: ['eu'] } } },
  });
  await role('dba', {
    allow: { logins: ['postgres'], nodeLabels: { '*': ['*'] } },
    options: { maxSessionTtlSeconds: 3600 },
  });
  await role('ops', { rules: { allow: [{ resources: ['token'], verbs: ['list'] }] } });
  await addUser(auth, 'ann', 'correct horse', ['dev']);
  await addUser(auth, 'boss', 'correct horse', ['dev', 'editor']);
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

/** A call as the guard lets it in. */
function personCall(username: string, roles: readonly string[], certificate?: X509Certificate) {
  const shown = certificate && tlsIdentityOf(certificate);
  const caller: Extract<Caller, { kind: 'user' }> = {
    ...{ kind: 'user', username, roles, address: '10.0.0.9:1' },
    ...(certificate && {
      certificate: {
        serial: serialText(serialOfX509(certificate)),
        lifeId: shown?.lifeId ?? '',
        routeToCluster: '',
        validUntil: certificate.validToDate.toISOString(),
        authorityPem: '',
        loggedInAt: shown?.loggedInAt,
        accessRequests: shown?.accessRequests ?? [],
      },
    }),
  };
  return { ...callOf(caller), rules: rulesOf(auth.deps)(caller) };
}
const ann = () => personCall('ann', ['dev']);
const boss = () => personCall('boss', ['dev', 'editor']);

const request = async (roles: string[] = ['dba'], reason = 'INC-1') =>
  (await createAccessRequest(auth.deps, ann(), { roles, reason, dryRun: false })).request.requestId;
const resolve = (
  requestId: string,
  state: 'approved' | 'denied' = 'approved',
  by = boss(),
  deps: AuthDeps = auth.deps,
) => resolveAccessRequest(deps, by, { requestId, state, reason: 'ok', delegator: '', annotations: {} });
const logIn = async () => {
  const { tlsCertificatePem } = await tryLogin(auth, { username: 'ann', password: 'correct horse' });
  return personCall('ann', ['dev'], new X509Certificate(tlsCertificatePem));
};
const certify = async (requestIds: string[], call?: Awaited<ReturnType<typeof logIn>>, format = 'standard') =>
  certifyAccessRequest(auth.deps, call ?? (await logIn()), {
    ...{ requestIds, publicKey: newKeyLine(), ttlSeconds: 12 * 3600 },
    format: format as 'standard',
  });
const refused = (code: string, message: string) => ({
  code,
  message: expect.stringContaining(message) as string,
});

describe('access requests', () => {
  it('are made by a person for themselves, and seen by them and by whose rules say so', async () => {
    const id = await request();
    const seenBy = async (call: ReturnType<typeof ann>) =>
      (await listAccessRequests(auth.deps, call, {})).requests.map(({ requestId }) => requestId);
    expect(await seenBy(ann())).toEqual([id]);
    expect(await seenBy(boss())).toEqual([id]);
    expect(await seenBy(personCall('bob', ['dev']))).toEqual([]);
    const read = (call: ReturnType<typeof ann>) =>
      readAccessRequest(auth.deps, call, { requestId: id, waitSeconds: 0 });
    expect((await read(ann())).request).toMatchObject({
      ...{ user: 'ann', roles: ['dba'], status: 'pending', reason: 'INC-1', annotations: { team: ['eu'] } },
    });
    await expect(read(personCall('bob', ['dev']))).rejects.toMatchObject(
      refused('not_found', 'is not found'),
    );
  });

  it('are for roles that exist, may be requested, and are not had; a star is all of them', async () => {
    const made = await createAccessRequest(auth.deps, ann(), { roles: ['*'], reason: '', dryRun: false });
    expect(made.request.roles).toEqual(['dba', 'ops']);
    await expect(request(['admin'])).rejects.toMatchObject(refused('access_denied', 'may not request'));
    await expect(request(['dbaa'])).rejects.toMatchObject(refused('bad_request', 'did you mean dba'));
    await expect(request(['dev'])).rejects.toMatchObject(refused('bad_request', 'has the role "dev"'));
    await expect(request(['Node'])).rejects.toMatchObject(refused('bad_request', 'is for machines'));
  });

  it('of another user are made by whose rules allow it', async () => {
    const wish = { user: 'ann', roles: ['dba'], reason: '', dryRun: false };
    await expect(createAccessRequest(auth.deps, personCall('boss', ['dev']), wish)).rejects.toMatchObject(
      refused('access_denied', 'of another user'),
    );
    const made = await createAccessRequest(auth.deps, adminCall, { ...wish, dryRun: true });
    expect(made).toMatchObject({ request: { user: 'ann', status: 'pending' } });
    expect((await listAccessRequests(auth.deps, adminCall, {})).requests).toEqual([]);
    await createAccessRequest(auth.deps, adminCall, wish);
    expect((await listAccessRequests(auth.deps, adminCall, {})).requests).toHaveLength(1);
    await expect(
      createAccessRequest(auth.deps, adminCall, { ...wish, user: 'nobody' }),
    ).rejects.toMatchObject(refused('not_found', 'user "nobody" is not found'));
  });

  it('take a reason where a role wants one', async () => {
    await role('careful', { options: { requestAccess: 'reason' }, request: { allow: { roles: ['dba'] } } });
    await addUser(auth, 'eve', 'correct horse', ['careful', 'dev']);
    const wish = (reason: string) =>
      createAccessRequest(auth.deps, personCall('eve', ['careful', 'dev']), {
        ...{ roles: ['dba'], reason, dryRun: false },
      });
    await expect(wish(' ')).rejects.toMatchObject(refused('bad_request', 'wants a reason'));
    await wish('INC-2');
    const { request: wanted } = await tryLogin(auth, { username: 'eve', password: 'correct horse' });
    expect(wanted).toEqual({ access: 'reason', prompt: '' });
  });

  it('wait in limited number, and leave the log a day after their end', async () => {
    for (let n = 0; n < 20; n++) await request();
    await expect(request()).rejects.toMatchObject(refused('limit_exceeded', '20 access requests'));
    auth.world.advance(26 * hour);
    await request();
    expect(auth.deps.views.requests.state().known.size).toBe(20 + 1 - 16);
  });

  it('are resolved by somebody else, once', async () => {
    const id = await request();
    const own = personCall('ann', ['dev', 'editor']);
    await expect(resolve(id, 'approved', own)).rejects.toMatchObject(refused('access_denied', 'their own'));
    expect((await resolve(id)).request).toMatchObject({
      status: 'approved',
      resolution: { by: 'user:boss' },
    });
    await expect(resolve(id)).rejects.toMatchObject(refused('bad_request', 'approved before'));
    await expect(resolve('../x')).rejects.toMatchObject(refused('not_found', 'is not found'));
  });

  it('are neither made nor approved for a role that is deleted after the server looked', async () => {
    const id = await request();
    const { views } = auth.deps;
    const [roles, requests] = [views.roles.state(), views.requests.state()];
    await deleteResource(auth.deps, adminCall, { kind: 'role', name: 'dba', dryRun: false });
    const before = {
      ...auth.deps,
      views: {
        ...views,
        roles: { ...views.roles, state: () => roles },
        requests: { ...views.requests, state: () => requests },
      },
    };
    const gone = refused('bad_request', 'role "dba" is not found');
    const wish = { roles: ['dba'], reason: '', dryRun: false };
    await expect(createAccessRequest(before, ann(), wish)).rejects.toMatchObject(gone);
    await expect(resolve(id, 'approved', boss(), before)).rejects.toMatchObject(gone);
    await expect(resolve(id)).rejects.toMatchObject(refused('not_found', 'is over'));
  });

  it('are opened to nobody by the row whose rules do not allow it', () => {
    for (const { operation } of [resolveAccessRequest, deleteAccessRequest])
      expect(() => guard(operation, ann().caller, rulesOf(auth.deps))).toThrow(
        /access denied to perform action/,
      );
  });

  it('are waited for without asking again', async () => {
    const id = await request();
    const waiting = readAccessRequest(auth.deps, ann(), { requestId: id, waitSeconds: 6 });
    await resolve(id, 'denied');
    expect((await waiting).request).toMatchObject({ status: 'denied', resolution: { reason: 'ok' } });
  });

  it('are told to the audit, and shown as resources', async () => {
    const id = await request();
    await resolve(id);
    const { documents } = await listResources(auth.deps, boss(), { kind: 'access_request' });
    expect(documents).toMatchObject([
      { kind: 'access_request', metadata: { name: id }, spec: { user: 'ann', state: 2, roles: ['dba'] } },
    ]);
    await deleteAccessRequest(auth.deps, boss(), { requestId: id });
    const { events } = await searchAudit(auth.deps, adminCall, {
      user: '',
      ...{ from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z', limit: 50 },
      types: ['access_request.create', 'access_request.update', 'access_request.delete'],
    });
    expect(events.map(({ code, state, updated_by }) => [code, state, updated_by])).toEqual([
      ['T5000I', 'PENDING', 'ann'],
      ['T5001I', 'APPROVED', 'boss'],
      ['T5003I', undefined, 'boss'],
    ]);
  });
});

describe('a certificate with an approved request', () => {
  it('names it, has its logins, and ends with the first of role, request and login', async () => {
    const id = await request();
    await resolve(id);
    const { sshCertificate, tlsCertificatePem } = await certify([id]);
    const ssh = parseCertificate(fromAuthorizedKeyLine(sshCertificate));
    expect(userIdentityOf(ssh)).toMatchObject({
      ...{ username: 'ann', roles: ['dev'], accessRequests: [id], principals: ['ann', 'postgres', 'root'] },
    });
    expect(requestedRolesOf(ssh)).toEqual(['dba']);
    const tls = new X509Certificate(tlsCertificatePem);
    expect(tlsIdentityOf(tls)).toMatchObject({ groups: ['dev'], accessRequests: [id] });
    const left = tls.validToDate.getTime() - Date.parse(auth.world.now());
    expect(left).toBeLessThanOrEqual(3600_000);
    expect(left).toBeGreaterThan(3500_000);
  });

  it('is refused for what is pending, denied, expired, of others, or of another form', async () => {
    const id = await request();
    await expect(certify([id])).rejects.toMatchObject(refused('access_denied', `${id} is pending`));
    await resolve(id, 'denied');
    await expect(certify([id])).rejects.toMatchObject(refused('access_denied', 'is denied'));
    await expect(certify(['x'])).rejects.toMatchObject(refused('not_found', 'x is not found'));
    const other = await request();
    await resolve(other);
    await expect(certify([other], undefined, 'oldssh')).rejects.toMatchObject(
      refused('access_denied', 'oldssh cannot name'),
    );
    auth.world.advance(2 * hour);
    await expect(certify([other])).rejects.toMatchObject(refused('access_denied', 'has expired'));
  });

  it('is refused where it would name more requests than a certificate can, with those that it named before', async () => {
    const approved = async (count: number) => {
      const ids: string[] = [];
      for (let n = 0; n < count; n++) ids.push(await request());
      for (const id of ids) await resolve(id);
      return ids;
    };
    const first = await certify(await approved(10));
    const call = personCall('ann', ['dev'], new X509Certificate(first.tlsCertificatePem));
    const more = await approved(7);
    await expect(certify(more, call)).rejects.toMatchObject(refused('bad_request', 'names at most 16'));
    const { sshCertificate } = await certify(more.slice(1), call);
    const { accessRequests } = userIdentityOf(parseCertificate(fromAuthorizedKeyLine(sshCertificate)));
    expect(accessRequests).toHaveLength(16);
  });

  it('is refused once the user is locked, and after that', async () => {
    const id = await request();
    await resolve(id);
    const call = await logIn();
    const { lockId } = await createLock(auth.deps, adminCall, { kind: 'user', target: 'ann', message: '' });
    await expect(certify([id], call)).rejects.toMatchObject(refused('access_denied', 'lock targeting'));
    await deleteLock(auth.deps, adminCall, { lockId });
    await expect(certify([id], call)).rejects.toMatchObject(refused('not_found', 'is over'));
  });

  it('is explained', async () => {
    await heartbeat(auth.deps, hostCall('Node'), {
      host: {
        ...{ hostId: '00000000-0000-4000-8000-0000000000b1', role: 'Node', nodename: 'db1', labels: {} },
        ...{ address: '10.0.0.1:3022', publicAddress: '', sshPublicAddress: '', version: '4.5.0' },
      },
      ttlSeconds: 600,
    });
    const explain = () =>
      explainAccess(auth.deps, adminCall, { user: 'ann', login: 'postgres', node: 'db1' });
    expect((await explain()).nodes[0]?.logins[0]?.status).toBe('denied');
    const id = await request();
    await resolve(id);
    expect(await explain()).toMatchObject({
      user: { requests: [{ requestId: id, roles: ['dba'] }] },
      nodes: [{ logins: [{ status: 'allowed' }] }],
    });
  });
});
