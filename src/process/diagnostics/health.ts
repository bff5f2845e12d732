import type { ServiceState } from '../lifecycle/supervisor.ts';

/** The health of this process. Every line begins with the service that it is about. */
export type Health =
  /** `waitsFor`: what is missing, when something is. */
  | { readonly status: 'starting'; readonly waitsFor: readonly string[] }
  /** `notices`: what somebody should look at, although nothing is missing. */
  | { readonly status: 'ok'; readonly notices: readonly string[] }
  /** It serves every caller, with something missing. */
  | { readonly status: 'degraded'; readonly reasons: readonly string[]; readonly notices: readonly string[] }
  /** Some service refuses its callers; `reasons` also contains what other services lack. */
  | { readonly status: 'not serving'; readonly reasons: readonly string[] };

/**
 * The health of all services together: one that refuses makes the whole process refuse, since a caller that
 * is sent here may want that one.
 * @param waitsFor what starting services are waiting for.
 * @param lacks what the process as a whole lacks.
 * @param leaving why nobody should come any more, though the services still serve.
 */
export function healthOf(
  services: ReadonlyMap<string, ServiceState>,
  waitsFor: readonly string[] = [],
  lacks: readonly string[] = [],
  leaving?: string,
): Health {
  const reasons: string[] = leaving === undefined ? [...lacks] : [leaving, ...lacks];
  const notices: string[] = [];
  let refuses = leaving !== undefined;
  for (const [name, state] of services) {
    if (state.status === 'starting') return { status: 'starting', waitsFor };
    if (state.status === 'not serving') {
      refuses = true;
      reasons.push(`${name}: ${state.reason}`);
      continue;
    }
    if (state.status === 'degraded') reasons.push(...state.lacks.map((lack) => `${name}: ${lack}`));
    notices.push(...state.notices.map((notice) => `${name}: ${notice}`));
  }
  if (refuses) return { status: 'not serving', reasons };
  return reasons.length > 0 ? { status: 'degraded', reasons, notices } : { status: 'ok', notices };
}

/** One line for people: `serving`, or what is wrong. */
export function healthLine(health: Health): string {
  switch (health.status) {
    case 'starting':
      return health.waitsFor.length === 0 ? 'starting' : `starting: ${health.waitsFor.join('; ')}`;
    case 'ok':
      return 'serving';
    case 'degraded':
      return `serving, but ${health.reasons.join('; ')}`;
    case 'not serving':
      return `not serving: ${health.reasons.join('; ')}`;
  }
}
