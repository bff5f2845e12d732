import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import type { AuthClient } from '../../api/client.ts';
import { DoneUnheard } from '../../api/done-unheard.ts';
import { CodedError } from '../../base/errors.ts';
import { realWorld } from '../../base/world.ts';
import { cliIo } from '../cli-io.ts';
import { change, traitsOf } from './update-user.ts';

const stderr = new PassThrough();
const raw = { stdout: new PassThrough(), stderr };
const io = cliIo(raw, { stdin: new PassThrough(), env: {}, world: realWorld });
const printed = (): string => String(stderr.read() ?? '');

const joe = (revision: string, roles: readonly string[], team: string) => ({
  kind: 'user',
  version: 'v2',
  metadata: { name: 'joe', revision },
  spec: { roles: [...roles], traits: { logins: ['joe'], team: [team] } },
});

/** An auth server with one user, which somebody else changes after each of the first `races` reads. */
function serverWith(races: number): { readonly calls: string[]; readonly auth: Pick<AuthClient, 'call'> } {
  const calls: string[] = [];
  let now = joe('1', ['admin'], 'a');
  const call = ({ name }: { name: string }, input: unknown): Promise<unknown> => {
    calls.push(name);
    if (name === 'resource.read') {
      const document = now;
      if (calls.length < 2 * races) now = joe(`${now.metadata.revision}+`, ['admin'], 'b');
      return Promise.resolve({ document });
    }
    const { document } = input as { document: typeof now };
    if (document.metadata.revision !== now.metadata.revision)
      return Promise.reject(new CodedError('conflict', 'changed since it was read'));
    now = document;
    return Promise.resolve({ status: 'updated', after: document });
  };
  return { calls, auth: { call } as unknown as Pick<AuthClient, 'call'> };
}

it('changes what was asked for and keeps the rest', async () => {
  const { auth } = serverWith(0);
  expect((await change({ auth, io }, 'joe', { roles: ['access'] })).spec).toMatchObject({
    roles: ['access'],
    traits: { logins: ['joe'], team: ['a'] },
  });
  expect((await change({ auth, io }, 'joe', { traits: new Map([['logins', ['root']]]) })).spec).toMatchObject(
    {
      roles: ['access'],
      traits: { logins: ['root'], team: ['a'] },
    },
  );
});

it('is changed where the answer was lost and the log says that it was done', async () => {
  const { auth } = serverWith(0);
  const call: AuthClient['call'] = async (row, input) => {
    const answer = await auth.call(row, input);
    if (row.name === 'resource.update') throw new DoneUnheard('it was done (event 7 of the log)');
    return answer;
  };
  expect((await change({ auth: { call }, io }, 'joe', { roles: ['access'] })).spec.roles).toEqual(['access']);
  expect(printed()).toBe('it was done (event 7 of the log)\n');
});

it('loses nothing that others change meanwhile, and does not try for ever', async () => {
  const { auth } = serverWith(1);
  expect(
    (await change({ auth, io }, 'joe', { traits: new Map([['logins', ['root']]]) })).spec.traits,
  ).toEqual({
    logins: ['root'],
    team: ['b'],
  });
  const busy = serverWith(Infinity);
  await expect(
    change({ auth: busy.auth, io }, 'joe', { traits: new Map([['logins', ['root']]]) }),
  ).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(busy.calls).toHaveLength(10);
});

it('reads traits as they are typed, and refuses what is none', () => {
  expect([...traitsOf(['department=dev, ops', 'team=', 'note=a=b'])]).toEqual([
    ['department', ['dev', 'ops']],
    ['team', []],
    ['note', ['a=b']],
  ]);
  for (const given of ['department', '=dev', '', ' =x'])
    expect(() => traitsOf([given])).toThrow(/expected name=value,value, or name= to take the trait away/);
  expect(() => traitsOf(['team=a', 'team=b'])).toThrow('team is given twice');
});

it('changes the traits that are named and no others', async () => {
  const { auth } = serverWith(0);
  const wanted = new Map([
    ['department', ['dev']],
    ['team', []],
  ]);
  expect((await change({ auth, io }, 'joe', { traits: wanted })).spec.traits).toEqual({
    logins: ['joe'],
    department: ['dev'],
    team: [],
  });
});
