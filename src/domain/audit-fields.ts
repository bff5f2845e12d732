import { z } from 'zod';

/** What the parts of the catalogue of audit events are made of. */
export const text = z.string();
export const texts = z.array(text).readonly();
export const count = z.number().int().nonnegative();
export const row = <S extends z.ZodRawShape>(shape: S): z.ZodObject<S> => z.object(shape);
/** Emitted by auth itself. */
export const auth = ['Auth'] as const;
