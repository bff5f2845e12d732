import type { Emitter } from './audit-kind.ts';

/**
 * An event that this release does not emit. Its name and code keep their meaning from 4.4, and no other event
 * may use them.
 */
export interface ReservedEvent {
  readonly event: string;
  readonly code: string;
  /**
   * Machines of a later release that may report it: auth stores such a report, even where no auth server
   * emits the event.
   */
  readonly by: readonly Emitter[];
  /** Why it is not emitted. */
  readonly why: string;
}

const noX11 = 'X11 is not forwarded';
const noKernelEvents = 'what programs do is not watched in the kernel';
const noSingleSignOn = 'there is no single sign-on';

const reserve = (
  why: string,
  by: readonly Emitter[],
  ...events: readonly [string, string][]
): ReservedEvent[] => events.map(([event, code]) => ({ event, code, by, why }));

/** Source: the audit log of 4.4. A row moves to `audit-catalogue.ts` with the change that emits its event. */
export const reserved: readonly ReservedEvent[] = [
  ...reserve(noX11, ['Node'], ['x11-forward', 'T3008I'], ['x11-forward', 'T3008W']),
  ...reserve(
    noKernelEvents,
    [],
    ['session.command', 'T4000I'],
    ['session.disk', 'T4001I'],
    ['session.network', 'T4002I'],
  ),
  ...reserve(
    noSingleSignOn,
    [],
    ['user.login', 'T1001I'],
    ['user.login', 'T1001W'],
    ['github.created', 'T8000I'],
    ['github.deleted', 'T8001I'],
    ['oidc.created', 'T8100I'],
    ['oidc.deleted', 'T8101I'],
    ['saml.created', 'T8200I'],
    ['saml.deleted', 'T8201I'],
  ),
];
