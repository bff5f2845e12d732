import {
  ApplicationAutoScalingClient,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
  type ApplicationAutoScalingClientConfig,
} from '@aws-sdk/client-application-auto-scaling';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import { faultOf } from './answers.ts';
import type { AutoScaling } from './options.ts';

/** By the SDK: repeating the request has no further effect. */
const attempts = 4;

/**
 * Has Amazon raise and lower the table's capacity between the bounds. May be repeated: the same again changes
 * nothing. The service is separate from DynamoDB: it is found by the region, or at
 * `AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING`.
 * @throws CodedError `misconfigured` when it refuses, `unavailable` when it does not reply.
 */
export async function scaleTable(
  tableName: string,
  {
    readMinCapacity,
    readMaxCapacity,
    readTargetValue,
    writeMinCapacity,
    writeMaxCapacity,
    writeTargetValue,
  }: AutoScaling,
  config: ApplicationAutoScalingClientConfig,
): Promise<void> {
  const client = new ApplicationAutoScalingClient({ ...config, maxAttempts: attempts });
  const scale = async (what: 'Read' | 'Write', min: number, max: number, target: number): Promise<void> => {
    const about = {
      ServiceNamespace: 'dynamodb',
      ResourceId: `table/${tableName}`,
      ScalableDimension: `dynamodb:table:${what}CapacityUnits`,
    } as const;
    await client.send(new RegisterScalableTargetCommand({ ...about, MinCapacity: min, MaxCapacity: max }));
    await client.send(
      new PutScalingPolicyCommand({
        ...about,
        PolicyName: `${tableName}-${what.toLowerCase()}-target`,
        PolicyType: 'TargetTrackingScaling',
        TargetTrackingScalingPolicyConfiguration: {
          TargetValue: target,
          PredefinedMetricSpecification: { PredefinedMetricType: `DynamoDB${what}CapacityUtilization` },
        },
      }),
    );
  };
  try {
    await scale('Read', readMinCapacity, readMaxCapacity, readTargetValue);
    await scale('Write', writeMinCapacity, writeMaxCapacity, writeTargetValue);
  } catch (e) {
    throw new CodedError(
      faultOf(e) === 'refused' ? 'misconfigured' : 'unavailable',
      `auto_scaling of table ${tableName} could not be set: ${e instanceof Error ? `${e.name}: ` : ''}${messageOf(e)}`,
      { cause: e },
    );
  } finally {
    client.destroy();
  }
}
