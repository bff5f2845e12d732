import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Call } from '../../api/server-deps.ts';
import { factsLevel, levels } from '../../domain/critical.ts';
import { roleSpec } from '../../domain/role-spec.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { userIdentityOf } from '../../pki/user-certificate.ts';
import { heartbeat } from '../host/heartbeat.ts';
import {
  addRole,
  addUser,
  adminCall,
  hostCall,
  openTestAuth,
  type TestAuth,
  tryLogin,
  userCall,
} from '../testing.ts';
import { rulesOf } from '../rules-of.ts';
import { createResource } from './create-resource.ts';
import { deleteResource } from './delete-resource.ts';
import { updateResource } from './update-resource.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const document = (name: string, spec: object) => ({ kind: 'role', version: 'v3', metadata: { name }, spec });
const create = (name: string, spec: object, call: Call = adminCall, dryRun = false) =>
  createResource(auth.deps, call, { document: document(name, spec), dryRun });
const update = (name: string, spec: object, call: Call = adminCall) =>
  updateResource(auth.deps, call, { document: document(name, spec), dryRun: false });

/** A person with one role of these rules, and whatever else. */
function personWith(...rules: { resources: string[]; verbs: string[]; where: string }[]): Call {
  const role = roleSpec.parse({
    name: 'writer',
    options: {},
    allow: {},
    deny: {},
    rules: { allow: rules, deny: [] },
  });
  const rulesOfPerson = { username: 'ann', traits: {}, roles: [role] };
  return { ...userCall('ann', ['writer']), rules: rulesOfPerson };
}
const roles = { resources: ['role'], verbs: ['*'], where: '' };
const users = { resources: ['user'], verbs: ['update'], where: '' };
const one = { allow: { logins: ['root'] } };
const refused = (message: RegExp, code = 'bad_request'): unknown =>
  expect.objectContaining({ name: 'CodedError', code, message: expect.stringMatching(message) as string });

async function hear(nodename: string, understands: number | undefined): Promise<void> {
  const hostId = `00000000-0000-4000-8000-0000000000${nodename}`;
  await heartbeat(auth.deps, hostCall('Node', hostId), {
    host: {
      ...{
        hostId,
        role: 'Node',
        nodename,
        address: '10.0.0.1:3022',
        publicAddress: '',
        sshPublicAddress: '',
      },
      ...{ labels: {}, version: '4.5.0', ...(understands !== undefined && { understands }) },
    },
    ttlSeconds: 600,
  });
}

describe('writing a role', () => {
  it('of their own is refused to people who could not give themselves another one', async () => {
    await addRole(auth, roleSpec.parse({ name: 'writer', options: {}, allow: {}, deny: {} }));
    await create('other', one);
    const own = refused(/is one of your own: .* "update" on "user"/, 'access_denied');
    await expect(update('writer', one, personWith(roles))).rejects.toEqual(own);
    await expect(
      deleteResource(auth.deps, personWith(roles), { kind: 'role', name: 'writer', dryRun: false }),
    ).rejects.toEqual(own);
    // Only some users: perhaps not themselves.
    const some = { ...users, where: 'equals(resource.metadata.name, "bob")' };
    await expect(update('writer', one, personWith(roles, some))).rejects.toEqual(own);
    expect(await update('other', { allow: { logins: ['dev'] } }, personWith(roles))).toMatchObject({
      status: 'updated',
    });
    expect(await update('writer', one, personWith(roles, users))).toMatchObject({ status: 'updated' });
  });

  it('that somebody holds does not delete it', async () => {
    await create('dev', one);
    await addUser(auth, 'ann', 'secret-of-ann', ['dev']);
    const remove = () => deleteResource(auth.deps, adminCall, { kind: 'role', name: 'dev', dryRun: false });
    await expect(remove()).rejects.toEqual(refused(/role "dev" is held by ann: /));
    expect(auth.deps.views.roles.state().known.size).toBeGreaterThan(0);
    expect(await tryLogin(auth, { username: 'ann', password: 'secret-of-ann' })).toBeDefined();
  });

  it('with a limit of connections over all servers is refused, which nothing would enforce', async () => {
    await expect(create('few', { options: { max_connections: 1 }, ...one })).rejects.toEqual(
      refused(/max_connections: this release does not limit connections over all servers/),
    );
    expect(await create('few', { options: { max_connections: 0 }, ...one })).toMatchObject({
      status: 'created',
    });
  });

  it('with a function in what it denies waits for every live host that could not read it', async () => {
    const denying = { ...one, deny: { logins: ['{{email.local(external.mail)}}'] } };
    const allowing = { allow: { logins: ['{{email.local(external.mail)}}'] } };
    await hear('b1', factsLevel);
    expect(await create('before', denying)).toMatchObject({ status: 'created' });
    await hear('b2', levels.deniedLoginFunctions - 1);
    await hear('b3', undefined);
    const why = refused(/which b2 \(Node 4\.5\.0\), b3 \(Node 4\.5\.0\) cannot read/);
    await expect(create('r', denying)).rejects.toEqual(why);
    await expect(create('r', denying, adminCall, true)).rejects.toEqual(why);
    expect(await create('r', allowing)).toMatchObject({ status: 'created' });
    await expect(update('r', denying)).rejects.toEqual(why);
    // It has been withheld there before: that it is changed makes nothing worse.
    expect(await update('before', { ...denying, allow: { logins: ['dev'] } })).toMatchObject({
      status: 'updated',
    });
    await hear('b2', factsLevel);
    await hear('b3', factsLevel);
    expect(await update('r', denying)).toMatchObject({ status: 'updated' });
  });
});

describe('a role that is not there', () => {
  it('denies all that the others allow', async () => {
    const all = { allow: { rules: [{ resources: ['*'], verbs: ['*'] }] } };
    await create('all', all);
    const caller = (...held: string[]) =>
      ({ kind: 'user', username: 'ann', roles: held, address: '10.0.0.9:1' }) as const;
    expect(rulesOf(auth.deps)(caller('all')).roles.map(({ name }) => name)).toEqual(['all']);
    expect(() => rulesOf(auth.deps)(caller('all', 'gone'))).toThrow(
      expect.objectContaining({ name: 'CodedError', code: 'access_denied' }) as Error,
    );
  });
});

describe('the form of certificates', () => {
  const rolesIn = async (...held: string[]): Promise<readonly string[]> => {
    const username = `ann-${held.join('-')}`;
    await addUser(auth, username, 'secret-of-ann', held);
    const { sshCertificate } = await tryLogin(auth, { username, password: 'secret-of-ann' });
    return userIdentityOf(parseCertificate(fromAuthorizedKeyLine(sshCertificate))).roles;
  };
  it('is the one for old programs as soon as one role says so', async () => {
    await create('dev', one);
    await create('old', { ...one, options: { cert_format: 'oldssh' } });
    expect(await rolesIn('dev')).toEqual(['dev']);
    expect(await rolesIn('dev', 'old')).toEqual([]);
  });
});
