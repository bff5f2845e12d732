import { z } from 'zod';
import { isCleanText } from '../../base/clean-text.ts';

export const position = z.number().int().nonnegative();
/** The result is on the log by this position. */
export const done = z.object({ position });
export const username = z.string().min(1).max(128);
/** One line of an authorized_keys file: `ssh-ed25519 AAAA…`. */
export const publicKeyLine = z.string().max(16_384);
export const password = z.string().max(65_536);
export const otp = z.string().max(16);
/** Text for the log, the audit and certificates. */
export const cleanText = (longest: number): z.ZodString =>
  z.string().max(longest).refine(isCleanText, 'a line without control and invisible characters');

/** From where somebody came to a proxy, as the proxy tells it. */
export const cameFrom = {
  /** `ip:port` of the person's own machine; of the balancer, where that one is not trusted to tell it. */
  clientAddress: cleanText(300),
  /** `ip:port` of the balancer that told it. */
  balancerAddress: cleanText(300).optional(),
};
