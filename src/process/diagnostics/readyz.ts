import { type Health, healthOf } from './health.ts';
import type { ServiceState } from '../lifecycle/supervisor.ts';

/** What a process knows about itself. */
export interface KnownHealth {
  readonly services: ReadonlyMap<string, ServiceState>;
  /** What starting services are waiting for, by service. */
  readonly waitsFor: ReadonlyMap<string, string>;
  /** What the process as a whole lacks; default nothing. */
  readonly lacks?: readonly string[];
  /** Why nobody should be sent here any more; default: somebody should. */
  readonly leaving?: string | undefined;
}

export interface ReadyzAnswer {
  readonly code: number;
  readonly body: object;
}

const parameters = ['strict', 'role'] as const;

/**
 * `/readyz`: whether this process should get connections, and what it lacks. `?strict`: whether all is well.
 * `?role=proxy`: about that role alone, where a process has several. Status codes as users of 4.4 know them:
 * 200, 400 while starting, 503; 404 for a role that this process does not have, 400 for an unknown parameter.
 */
export function answerReadyz(
  { services, waitsFor, lacks, leaving }: KnownHealth,
  query: URLSearchParams,
): ReadyzAnswer {
  const unknown = [...query.keys()].find((key) => !parameters.some((known) => known === key));
  if (unknown !== undefined)
    return { code: 400, body: { status: `there is no parameter ${unknown}: ${parameters.join(', ')}` } };
  const roles = query.getAll('role');
  const has = [...services.keys()].filter((name) => name !== 'admin');
  const missing = roles.find((role) => !has.includes(role));
  if (missing !== undefined)
    return { code: 404, body: { status: `this process has no role ${missing}: it has ${has.join(', ')}` } };
  const asked = <T>(all: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    roles.length === 0 ? all : new Map([...all].filter(([name]) => roles.includes(name)));
  const health = healthOf(asked(services), [...asked(waitsFor).values()], lacks, leaving);
  return answerOf(health, query.has('strict'));
}

function answerOf(health: Health, strict: boolean): ReadyzAnswer {
  switch (health.status) {
    case 'starting': {
      const status = "teleport is starting and hasn't joined the cluster yet";
      const { waitsFor } = health;
      return { code: 400, body: { status, ...listed({ waitsFor }) } };
    }
    case 'ok':
      return { code: 200, body: { status: 'ok', ...listed({ notices: health.notices }) } };
    case 'degraded': {
      const { status, reasons, notices } = health;
      return { code: strict ? 503 : 200, body: { status, reasons, ...listed({ notices }) } };
    }
    case 'not serving':
      return { code: 503, body: { status: health.status, reasons: health.reasons } };
  }
}

/** Without empty lists. */
const listed = (lists: Readonly<Record<string, readonly string[]>>): object =>
  Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));
