import { z } from 'zod';
import { liveSession } from '../../domain/live-sessions.ts';
import { operation } from '../operation.ts';

/** A session that runs now, and where. */
export const runningSession = liveSession.extend({ hostId: z.string(), nodename: z.string() });

/**
 * On which node a session runs, for whoever has its id and wants to join it.
 * @throws CodedError `not_found`
 */
export const findSession = operation({
  name: 'session.find',
  repeatable: true,
  who: ['user', 'Admin'],
  resource: 'session',
  verb: 'readnosecrets',
  input: z.object({ sid: z.uuid() }),
  output: z.object({ hostId: z.string(), nodename: z.string() }),
});

/**
 * Sessions with a terminal that run now, the oldest first. A person sees their own, and those that rules
 * allow. Nodes tell of them within seconds.
 */
export const listSessions = operation({
  name: 'session.list',
  repeatable: true,
  who: ['user', 'operator', 'Admin'],
  resource: 'session',
  verb: 'list',
  input: z.object({}),
  output: z.object({
    sessions: z.array(runningSession),
    /** Nodes with more sessions than they can name, and how many more. Only for whoever sees all. */
    unnamed: z.array(z.object({ hostId: z.string(), nodename: z.string(), count: z.number() })),
  }),
});
