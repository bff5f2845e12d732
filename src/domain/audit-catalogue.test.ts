import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { catalogue } from './audit-catalogue.ts';
import type { Emitter } from './audit-kind.ts';
import { reserved } from './audit-reserved.ts';
import { mayReport } from './reported-kinds.ts';

/** What users of 4.4 filter by. Source: its audit log. */
const of44 = `
  user.login T1000I T1000W T1001I T1001W; user.create T1002I; user.update T1003I; user.delete T1004I;
  user.password_change T1005I; session.rejected T1006W; session.start T2000I; session.join T2001I; resize T2002I;
  session.leave T2003I; session.end T2004I; session.upload T2005I; session.data T2006I; subsystem T3001I T3001E;
  exec T3002I T3002E; port T3003I T3003E; scp T3004I T3004E T3005I T3005E; client.disconnect T3006I; auth T3007W;
  x11-forward T3008I T3008W; session.command T4000I; session.disk T4001I; session.network T4002I;
  access_request.create T5000I; access_request.update T5001I; reset_password_token.create T6000I;
  trusted_cluster.create T7000I; trusted_cluster.delete T7001I; trusted_cluster_token.create T7002I;
  github.created T8000I; github.deleted T8001I; oidc.created T8100I; oidc.deleted T8101I; saml.created T8200I;
  saml.deleted T8201I; role.created T9000I; role.deleted T9001I`;
const known = of44
  .split(';')
  .map((line) => line.trim().split(/\s+/))
  .flatMap(([event = '', ...codes]) => codes.map((code) => `${event} ${code}`));

const rows = Object.entries(catalogue);
const named = (list: readonly { readonly event: string; readonly code: string }[]): string[] =>
  list.map(({ event, code }) => `${event} ${code}`);

const root = join(import.meta.dirname, '..');
const sources = globSync('**/*.ts', { cwd: root })
  .filter((path) => !/\.test\.ts$|testing\.ts$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
/** Whose process runs what is in a room. A fact of the log becomes an event where auth reads it. */
const emitters: Readonly<Record<string, readonly Emitter[]>> = {
  api: ['Auth', 'Node', 'Proxy'],
  auth: ['Auth'],
  domain: ['Auth'],
  node: ['Node'],
  proxy: ['Proxy'],
};

describe('the catalogue of audit events', () => {
  it('has, with what is reserved, each event of 4.4 by its name and its code', () => {
    const all = [...named(Object.values(catalogue)), ...named(reserved)];
    expect(known).toHaveLength(47);
    expect(known.filter((one) => !all.includes(one))).toEqual([]);
    // Nothing else has a code of 4.4.
    const codes = new Set(known.map((one) => one.split(' ')[1]));
    const ours = all.filter((one) => codes.has(one.split(' ')[1]));
    expect([...new Set(ours)].sort()).toEqual([...known].sort());
  });

  it('never gives two events one code, nor emits what is reserved', () => {
    const events = Map.groupBy([...Object.values(catalogue), ...reserved], ({ code }) => code);
    for (const [code, some] of events)
      expect([code, new Set(some.map(({ event }) => event)).size]).toEqual([code, 1]);
    const emitted = new Set(named(Object.values(catalogue)));
    expect(named(reserved).filter((one) => emitted.has(one))).toEqual([]);
  });

  it.each(rows)('%s is emitted, and by whom its row says', (name, row) => {
    const uses = sources.filter(({ text }) => new RegExp(`\\bcatalogue\\.${name}\\b`).test(text));
    const by = new Set<string>(
      uses.flatMap<string>(({ path }) => emitters[path.split('/')[0] ?? ''] ?? [path]),
    );
    expect([...by].sort()).toEqual([...row.by].sort());
  });

  it('is what each event is emitted from: no file of another name spells a code, or makes an event by itself', () => {
    const code = /['"`]T(?:\d{4}|[A-Z]{1,4}\d{2,3})(?:[IWE]['"`]|\$)/;
    const spelling = sources.filter(({ text }) => code.test(text)).map(({ path }) => path);
    expect(spelling.sort()).toEqual([
      'domain/audit-catalogue-authorities.ts',
      'domain/audit-catalogue-cluster.ts',
      'domain/audit-catalogue-recordings.ts',
      'domain/audit-catalogue-requests.ts',
      'domain/audit-catalogue.ts',
      'domain/audit-reserved.ts',
    ]);
    const making = /\bas (?:EventBody|ParsedAuditEvent)\b/;
    const made = sources.filter(({ text }) => making.test(text)).map(({ path }) => path);
    expect(made.sort()).toEqual([
      // Of records that were checked.
      'api/spooled-events.ts',
      'domain/audit-event.ts',
      'domain/audit-kind.ts',
      'domain/reported-event.ts',
    ]);
  });

  it('is in the manual of operators, event by event and code by code', () => {
    const manual = readFileSync(join(root, '..', 'docs', 'log.md'), 'utf8');
    const table = manual.slice(manual.indexOf('| event | code | when |'));
    const lines = table.slice(0, table.indexOf('\n\n')).split('\n').slice(2);
    const told = lines.flatMap((line) => {
      const [, events = '', codes = ''] = line.split('|');
      const [first, ...others] = Array.from(events.matchAll(/`([a-z_.-]+)`/g), ([, event]) => event);
      const each = codes.split(/[\s/]+/).filter((code) => code !== '');
      return each.map((code, i) => `${others.length === 0 ? first : [first, ...others][i]} ${code}`);
    });
    expect(told.sort()).toEqual([...new Set(named(Object.values(catalogue)))].sort());
  });

  it('makes the body of an event from its fields', () => {
    expect(catalogue.portForward({ addr: 'db1:5432', success: true })).toEqual({
      event: 'port',
      code: 'T3003I',
      addr: 'db1:5432',
      success: true,
    });
  });

  it('is what auth takes from machines, each by its role', () => {
    for (const role of ['Node', 'Proxy'] as const)
      for (const { event, code, by } of [...Object.values(catalogue), ...reserved])
        expect({ role, event, code, may: mayReport(role, event, code) }).toMatchObject({
          may: by.includes(role),
        });
    expect(mayReport('Node', 'exec', 'T3001I')).toBe(false);
    expect(mayReport('Node', 'session.join', 'T2001I')).toBe(true);
    expect(mayReport('Proxy', 'session.start', 'T2000I')).toBe(false);
  });
});
