import type { LogSink } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import { type JoinGate, joinGate } from '../host/join-gate.ts';
import { type LoginGate, loginGate } from './login-gate.ts';
import type { OwnAudit } from '../audit/own-audit.ts';
import { type TurnedAway, turnedAway } from '../limits/turned-away.ts';

export interface Gates {
  readonly gate: LoginGate;
  readonly joins: JoinGate;
  /** Counts attempts with links that do not work, which are guesses. */
  readonly badLinks: TurnedAway;
  /** Reports what was counted and not reported yet. */
  close(): Promise<void>;
}

/** The limits in front of those who guess passwords and tokens. */
export function openGates(own: OwnAudit, world: World, hostId: string, sink: LogSink): Gates {
  const counted = [
    turnedAway(own, world, hostId, sink, {
      about: 'user.login',
      message: 'login attempts were refused unexamined: too many from one address',
    }),
    turnedAway(own, world, hostId, sink, {
      about: 'user.login',
      message: 'login attempts of unknown or locked users were refused, too many to record one by one',
    }),
    turnedAway(own, world, hostId, sink, {
      about: 'join_token.use',
      message: 'attempts to join were refused unexamined: too many from one address',
    }),
    turnedAway(own, world, hostId, sink, {
      about: 'join_token.use',
      message: 'attempts to join were examined and refused, too many to record one by one',
    }),
    turnedAway(own, world, hostId, sink, {
      about: 'reset_password_token.open',
      message: 'invite and reset links were not looked at: too many from one address',
    }),
    turnedAway(own, world, hostId, sink, {
      about: 'reset_password_token.open',
      message: 'invite and reset links that do not work were tried',
    }),
  ] as const;
  const [unexaminedLogins, untoldLogins, unexamined, untold, unexaminedLinks, badLinks] = counted;
  return {
    gate: loginGate(world, {
      unexamined: { login: unexaminedLogins, link: unexaminedLinks },
      untold: untoldLogins,
    }),
    badLinks,
    joins: joinGate(world, { unexamined, untold }),
    close: async () => {
      for (const one of counted) await one.close();
    },
  };
}
