"""Part II of the basic safety message of SAE J2735: special and supplemental vehicle extensions as tables.

Parts that the 2024 edition calls doNotUse stand in the 2016 edition with a meaning (weather, obstacles, trailers, RTCM) and
keep their places. Source: see `j2735`.
"""
from __future__ import annotations

from v2x.codecs import j2735
from v2x.codecs.schema import (
    BitString,
    Boolean,
    Enumerated,
    Field,
    Integer,
    OctetString,
    Sequence,
    SequenceOf,
    optional,
)

_SSP_INDEX = Integer(0, 31)
_PRIVILEGED_EVENTS = Sequence("PrivilegedEvents", (Field("doNotUse", _SSP_INDEX), Field("event", BitString(16))), extensible=True)
_EMERGENCY_DETAILS = Sequence("EmergencyDetails", (
    Field("doNotUse", _SSP_INDEX),
    Field("sirenUse", Enumerated(("unavailable", "notInUse", "inUse", "reserved"))),
    Field("lightsUse", Enumerated((
        "unavailable", "notInUse", "inUse", "yellowCautionLights", "schooldBusLights", "arrowSignsActive", "slowMovingVehicle",
        "freqStops",
    ))),
    Field("multi", Enumerated(("unavailable", "singleVehicle", "multiVehicle", "reserved"))),
    optional("events", _PRIVILEGED_EVENTS),
    optional("responseType", Enumerated((
        "notInUseOrNotEquipped", "emergency", "nonEmergency", "pursuit", "stationary", "slowMoving", "stopAndGoMovement",
    ), extensible=True)),
), extensible=True)
_ITIS_CODE = Integer(0, 65_535)
_ITIS_OBSTACLE = Integer(523, 541)
_EVENT_DESCRIPTION = Sequence("EventDescription", (
    Field("typeEvent", _ITIS_CODE),
    optional("description", SequenceOf(_ITIS_CODE, 1, 8)),
    optional("priority", OctetString(1, 1)),
    optional("heading", BitString(16)),
    optional("extent", Enumerated((
        "useInstantlyOnly", "useFor3meters", "useFor10meters", "useFor50meters", "useFor100meters", "useFor500meters",
        "useFor1000meters", "useFor5000meters", "useFor10000meters", "useFor50000meters", "useFor100000meters",
        "useFor500000meters", "useFor1000000meters", "useFor5000000meters", "useFor10000000meters", "forever",
    ))),
    optional("regional", j2735.REGIONAL),
), extensible=True)
_PIVOT_POINT_DESCRIPTION = Sequence("PivotPointDescription", (
    Field("pivotOffset", j2735.OFFSET_B11),
    Field("pivotAngle", j2735.ANGLE),
    Field("pivots", Boolean()),
), extensible=True)
_BUMPER_HEIGHT = Integer(0, 127, "0.01 m")
_BUMPER_HEIGHTS = Sequence("BumperHeights", (Field("front", _BUMPER_HEIGHT), Field("rear", _BUMPER_HEIGHT)))
_VERT_OFFSET_B07 = Integer(-64, 63, "0.1 m", {-64: "unavailable"})
_TRAILER_HISTORY_POINT = Sequence("TrailerHistoryPoint", (
    Field("pivotAngle", j2735.ANGLE),
    Field("timeOffset", j2735.TIME_OFFSET),
    Field("positionOffset", j2735.NODE_XY_24B),
    optional("elevationOffset", _VERT_OFFSET_B07),
    optional("heading", j2735.COARSE_HEADING),
), extensible=True)
_TRAILER_UNIT_DESCRIPTION = Sequence("TrailerUnitDescription", (
    Field("isDolly", Boolean()),
    Field("width", j2735.VEHICLE_WIDTH),
    Field("length", j2735.VEHICLE_LENGTH),
    optional("height", j2735.VEHICLE_HEIGHT),
    optional("mass", Integer(0, 255)),
    optional("bumperHeights", _BUMPER_HEIGHTS),
    optional("centerOfGravity", j2735.VEHICLE_HEIGHT),
    Field("frontPivot", _PIVOT_POINT_DESCRIPTION),
    optional("rearPivot", _PIVOT_POINT_DESCRIPTION),
    optional("rearWheelOffset", j2735.OFFSET_B12),
    Field("positionOffset", j2735.NODE_XY_24B),
    optional("elevationOffset", _VERT_OFFSET_B07),
    optional("crumbData", SequenceOf(_TRAILER_HISTORY_POINT, 1, 23)),
), extensible=True)
_TRAILER_DATA = Sequence("TrailerData", (
    Field("doNotUse", _SSP_INDEX),
    Field("connection", _PIVOT_POINT_DESCRIPTION),
    Field("units", SequenceOf(_TRAILER_UNIT_DESCRIPTION, 1, 8)),
), extensible=True)
SPECIAL_VEHICLE_EXTENSIONS = Sequence("SpecialVehicleExtensions", (
    optional("vehicleAlerts", _EMERGENCY_DETAILS),
    optional("description", _EVENT_DESCRIPTION),
    optional("doNotUse", _TRAILER_DATA),
), extensible=True)
_VEHICLE_CLASSIFICATION = Sequence("VehicleClassification", (
    optional("keyType", j2735.BASIC_VEHICLE_CLASS),
    optional("role", Enumerated((
        "basicVehicle", "publicTransport", "specialTransport", "dangerousGoods", "roadWork", "roadRescue", "emergency",
        "safetyCar", "none-unknown", "truck", "motorcycle", "roadSideSource", "police", "fire", "ambulance", "dot", "transit",
        "slowMoving", "stopNgo", "cyclist", "pedestrian", "nonMotorized", "military",
    ), extensible=True)),
    optional("iso3883", Integer(0, 100)),
    optional("hpmsType", Enumerated((
        "none", "unknown", "special", "moto", "car", "carOther", "bus", "axleCnt2", "axleCnt3", "axleCnt4", "axleCnt4Trailer",
        "axleCnt5Trailer", "axleCnt6Trailer", "axleCnt5MultiTrailer", "axleCnt6MultiTrailer", "axleCnt7MultiTrailer",
    ), extensible=True)),
    optional("vehicleType", Enumerated((
        "all-vehicles", "bicycles", "motorcycles", "cars", "light-vehicles", "cars-and-light-vehicles", "cars-with-trailers",
        "cars-with-recreational-trailers", "vehicles-with-trailers", "heavy-vehicles", "trucks", "buses", "articulated-buses",
        "school-buses", "vehicles-with-semi-trailers", "vehicles-with-double-trailers", "high-profile-vehicles", "wide-vehicles",
        "long-vehicles", "hazardous-loads", "exceptional-loads", "abnormal-loads", "convoys", "maintenance-vehicles",
        "delivery-vehicles", "vehicles-with-even-numbered-license-plates", "vehicles-with-odd-numbered-license-plates",
        "vehicles-with-parking-permits", "vehicles-with-catalytic-converters", "vehicles-without-catalytic-converters",
        "gas-powered-vehicles", "diesel-powered-vehicles", "lPG-vehicles", "military-convoys", "military-vehicles",
    ), extensible=True)),
    optional("responseEquip", Enumerated((
        "ground-fire-suppression", "heavy-ground-equipment", "aircraft", "marine-equipment", "support-equipment",
        "medical-rescue-unit", "other", "ground-fire-suppression-other", "engine", "truck-or-aerial", "quint",
        "tanker-pumper-combination", "brush-truck", "aircraft-rescue-firefighting", "heavy-ground-equipment-other",
        "dozer-or-plow", "tractor", "tanker-or-tender", "aircraft-other", "aircraft-fixed-wing-tanker", "helitanker",
        "helicopter", "marine-equipment-other", "fire-boat-with-pump", "boat-no-pump", "support-apparatus-other",
        "breathing-apparatus-support", "light-and-air-unit", "medical-rescue-unit-other", "rescue-unit",
        "urban-search-rescue-unit", "high-angle-rescue", "crash-fire-rescue", "bLS-unit", "aLS-unit", "mobile-command-post",
        "chief-officer-car", "hAZMAT-unit", "type-i-hand-crew", "type-ii-hand-crew", "privately-owned-vehicle",
        "other-apparatus-resource", "ambulance", "bomb-squad-van", "combine-harvester", "construction-vehicle", "farm-tractor",
        "grass-cutting-machines", "hAZMAT-containment-tow", "heavy-tow", "hedge-cutting-machines", "light-tow", "mobile-crane",
        "refuse-collection-vehicle", "resurfacing-vehicle", "road-sweeper", "roadside-litter-collection-crews",
        "salvage-vehicle", "sand-truck", "snowplow", "steam-roller", "swat-team-van", "track-laying-vehicle", "unknown-vehicle",
        "white-lining-vehicle", "dump-truck", "supervisor-vehicle", "snow-blower", "rotary-snow-blower", "road-grader",
        "steam-truck", "flatbed-tow",
    ), extensible=True)),
    optional("responderType", Enumerated((
        "emergency-vehicle-units", "federal-law-enforcement-units", "state-police-units", "county-police-units",
        "local-police-units", "ambulance-units", "rescue-units", "fire-units", "hAZMAT-units", "light-tow-unit",
        "heavy-tow-unit", "freeway-service-patrols", "transportation-response-units", "private-contractor-response-units",
    ), extensible=True)),
    optional("fuelType", Integer(0, 15)),
    optional("regional", j2735.REGIONAL),
), extensible=True)
_TRAILER_WEIGHT = Integer(0, 64_255)
_AXLES = Sequence("Axles", (
    Field("totalAxles", Integer(1, 10, extensible=True)),
    optional("frontAxles", Integer(0, 10, extensible=True)),
    optional("rearAxles", Integer(0, 10, extensible=True)),
), extensible=True)
_VEHICLE_DATA = Sequence("VehicleData", (
    optional("height", j2735.VEHICLE_HEIGHT),
    optional("bumpers", _BUMPER_HEIGHTS),
    optional("mass", Integer(0, 255)),
    optional("doNotUse", _TRAILER_WEIGHT),
), extensible=True, additions=(
    optional("trailerPresent", Boolean()),
    optional("pivotPoint", _PIVOT_POINT_DESCRIPTION),
    optional("axles", _AXLES),
    optional("leanAngle", Integer(-90, 90)),
))
_WEATHER_REPORT = Sequence("WeatherReport", (
    Field("isRaining", Enumerated(("precip", "noPrecip", "error"))),
    optional("rainRate", Integer(0, 65_535)),
    optional("precipSituation", Enumerated((
        "other", "unknown", "noPrecipitation", "unidentifiedSlight", "unidentifiedModerate", "unidentifiedHeavy", "snowSlight",
        "snowModerate", "snowHeavy", "rainSlight", "rainModerate", "rainHeavy", "frozenPrecipitationSlight",
        "frozenPrecipitationModerate", "frozenPrecipitationHeavy",
    ))),
    optional("solarRadiation", Integer(0, 65_535)),
    optional("friction", Integer(0, 101)),
    optional("roadFriction", Integer(0, 50)),
), extensible=True)
_WIPER_STATUS = Enumerated((
    "unavailable", "off", "intermittent", "low", "high", "washerInUse", "automaticPresent",
), extensible=True)
_WIPER_RATE = Integer(0, 127)
_WIPER_SET = Sequence("WiperSet", (
    Field("statusFront", _WIPER_STATUS),
    Field("rateFront", _WIPER_RATE),
    optional("statusRear", _WIPER_STATUS),
    optional("rateRear", _WIPER_RATE),
))
_WEATHER_PROBE = Sequence("WeatherProbe", (
    optional("airTemp", Integer(0, 191)),
    optional("airPressure", Integer(0, 255)),
    optional("rainRates", _WIPER_SET),
), extensible=True)
_GENERIC_LOCATIONS = Enumerated((
    "on-bridges", "in-tunnels", "entering-or-leaving-tunnels", "on-ramps", "in-road-construction-area", "around-a-curve",
    "on-minor-roads", "in-the-opposing-lanes", "adjacent-to-roadway", "on-bend", "entire-intersection", "in-the-median",
    "moved-to-side-of-road", "moved-to-shoulder", "on-the-roadway", "in-shaded-areas", "in-low-lying-areas",
    "in-the-downtown-area", "in-the-inner-city-area", "in-parts", "in-some-places", "in-the-ditch", "in-the-valley",
    "on-hill-top", "near-the-foothills", "at-high-altitudes", "near-the-lake", "near-the-shore", "over-the-crest-of-a-hill",
    "other-than-on-the-roadway", "near-the-beach", "near-beach-access-point", "lower-level", "upper-level", "airport",
    "concourse", "gate", "baggage-claim", "customs-point", "station", "platform", "dock", "depot", "ev-charging-point",
    "information-welcome-point", "at-rest-area", "at-service-area", "at-weigh-station", "picnic-areas", "rest-area",
    "service-stations", "toilets", "on-the-right", "on-the-left", "in-the-center", "in-the-opposite-direction", "cross-traffic",
    "northbound-traffic", "eastbound-traffic", "southbound-traffic", "westbound-traffic", "north", "south", "east", "west",
    "northeast", "northwest", "southeast", "southwest", "mountain-pass", "reservation-center", "nearby-basin", "on-tracks",
    "dip", "traffic-circle", "park-and-ride-lot", "to", "by", "through", "area-of", "under", "over", "from", "approaching",
    "entering-at", "exiting-at", "across-tracks", "in-street", "on-curve", "shoulder", "crossover", "cross-road", "side-road",
    "bus-stop", "intersection", "roadside-park",
), extensible=True)
_OBSTACLE_DETECTION = Sequence("ObstacleDetection", (
    Field("obDist", Integer(0, 32_767)),
    Field("obDirect", Integer(0, 28_800)),
    optional("description", _ITIS_OBSTACLE),
    optional("locationDetails", _GENERIC_LOCATIONS),
    Field("dateTime", j2735.D_DATE_TIME),
    optional("vertEvent", BitString(5)),
), extensible=True)
_DISABLED_VEHICLE = Sequence("DisabledVehicle", (
    Field("statusDetails", _ITIS_OBSTACLE),
    optional("locationDetails", _GENERIC_LOCATIONS),
), extensible=True)
_SPEED_PROFILE = Sequence("SpeedProfile", (
    Field("speedReports", SequenceOf(Integer(0, 31), 1, 20)),
), extensible=True)
_ANTENNA_OFFSET_SET = Sequence("AntennaOffsetSet", (
    Field("antOffsetX", j2735.OFFSET_B12),
    Field("antOffsetY", Integer(-256, 255)),
    Field("antOffsetZ", j2735.OFFSET_B10),
))
_RTCM_HEADER = Sequence("RTCMheader", (Field("status", BitString(8)), Field("offsetSet", _ANTENNA_OFFSET_SET)))
_RTCM_PACKAGE = Sequence("RTCMPackage", (
    optional("rtcmHeader", _RTCM_HEADER),
    Field("msgs", SequenceOf(OctetString(1, 1023), 1, 5)),
), extensible=True)
_TRAILER_UNIT_DESC_J2945_1B = Sequence("TrailerUnitDescJ2945Slash1B", (
    Field("width", j2735.VEHICLE_WIDTH),
    Field("length", j2735.VEHICLE_LENGTH),
    optional("height", j2735.VEHICLE_HEIGHT),
    optional("weight", _TRAILER_WEIGHT),
    Field("frontPivot", _PIVOT_POINT_DESCRIPTION),
    optional("rearPivot", _PIVOT_POINT_DESCRIPTION),
    optional("bumpers", _BUMPER_HEIGHTS),
    optional("axles", _AXLES),
), extensible=True)
_SCHOOL_BUS_J2945_1C = Sequence("SchoolBusJ2945Slash1C", (
    Field("flashingAmberLights", Boolean()),
    Field("flashingRedLights", Boolean()),
    optional("studentsCrossingFront", Boolean()),
    optional("studentsCrossingBehind", Boolean()),
    optional("studentsLoading", Boolean()),
    optional("studentsUnloading", Boolean()),
    optional("wheelchairLiftInUse", Boolean()),
    optional("emergencyExitOpen", Boolean()),
    optional("emergencyRequestMedical", Boolean()),
    optional("emergencyRequestFire", Boolean()),
    optional("emergencyRequestPolice", Boolean()),
), extensible=True)
SUPPLEMENTAL_VEHICLE_EXTENSIONS = Sequence("SupplementalVehicleExtensions", (
    optional("classification", j2735.BASIC_VEHICLE_CLASS),
    optional("classDetails", _VEHICLE_CLASSIFICATION),
    optional("vehicleData", _VEHICLE_DATA),
    optional("doNotUse1", _WEATHER_REPORT),
    optional("doNotUse2", _WEATHER_PROBE),
    optional("doNotUse3", _OBSTACLE_DETECTION),
    optional("status", _DISABLED_VEHICLE),
    optional("doNotUse4", _SPEED_PROFILE),
    optional("doNotUse5", _RTCM_PACKAGE),
    optional("regional", j2735.REGIONAL),
), extensible=True, additions=(
    Field("fhwaVehicleClass", Enumerated((
        "motorcycles", "passengerCars", "other2axle4tireSingleUnitVehs", "buses", "twoAxle6TireSingleUnitTrucks",
        "threeAxleSingleUnitTrucks", "fourOrMoreAxleSingleUnitTrucks", "fourOrFewerAxleSingleTrailerTrucks",
        "fiveAxleSingleTrailerTrucks", "sixOrMoreAxleSingleTrailerTrucks", "fiveOrFewerAxleMultiTrailerTrucks",
        "sixAxleMultiTrailerTrucks", "sevenOrMoreAxleMultiTrailerTrucks",
    ), extensible=True)),
    optional("trailers", SequenceOf(_TRAILER_UNIT_DESC_J2945_1B, 1, 8, extensible=True)),
    optional("schoolBus", _SCHOOL_BUS_J2945_1C),
))
