import {
  ApplicationAutoScalingClient,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
  type ApplicationAutoScalingClientConfig,
} from '@aws-sdk/client-application-auto-scaling';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import type { AutoScaling } from './options.ts';

/**
 * Has Amazon raise and lower the table's capacity between the bounds. May be repeated: the same again changes nothing.
 * @throws CodedError `misconfigured` when it is refused.
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
  const client = new ApplicationAutoScalingClient(config);
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
    throw new CodedError('misconfigured', `auto_scaling of table ${tableName} is refused: ${messageOf(e)}`, {
      cause: e,
    });
  } finally {
    client.destroy();
  }
}
